import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createFile } from "../src/durable.ts";
import { tempDir } from "./servers/run.ts";

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

it.each([0o600, 0o640, 0o604, 0o644, 0o444, 0o755, 0o666, 0o4750])(
  "creates a file with mode %o",
  async (mode) => {
    const path = join(tempDir("durable"), "file");
    for (const owner of [undefined, me, { uid: 1, gid: 1 }]) {
      const name = `${path}.${owner?.uid}.${owner === me}`;
      await createFile(name, "text", owner ? { mode, owner } : { mode });
      const { uid, gid, mode: found } = statSync(name);
      expect([found & 0o7777, { uid, gid }]).toEqual([mode, owner ?? me]);
      expect(readFileSync(name, "utf8")).toBe("text");
    }
  },
);

it("leaves a file alone that is there, and none behind that cannot be written", async () => {
  const folder = tempDir("durable");
  const path = join(folder, "file");
  await createFile(path, "text", { mode: 0o600 });
  await expect(createFile(path, "other", { mode: 0o600 })).rejects.toMatchObject({ code: "EEXIST" });
  expect(readFileSync(path, "utf8")).toBe("text");
  const owner = { uid: -5, gid: -5 };
  await expect(createFile(join(folder, "b"), "text", { mode: 0o600, owner })).rejects.toThrow();
  expect(readdirSync(folder)).toEqual(["file"]);
});
