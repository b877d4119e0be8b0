import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { swap } from "../../src/templater/swap.ts";
import { tempDir } from "../servers/run.ts";
import { quietTarget } from "./workspace.ts";

it("closes a staged file that cannot be renamed while it is open, and renames it then", async () => {
  const folder = tempDir("swap");
  const target = quietTarget(join(folder, "proxy.cfg"));
  const path = join(folder, ".staged");
  // As seen by a rename: it is not there before it is closed.
  const close = async () => writeFileSync(path, "new");
  const live = { path: target.destination, file: undefined };
  await swap({ path, close }, Buffer.from("new"), target, live, () => {});
  expect(readFileSync(target.destination, "utf8")).toBe("new");
});
