import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { createWorkspace } from "./workspace.ts";

const check = { argv: ["grep", "-q", "good", "{{src}}"] };

/** The path that a refusal names. */
async function refusal(install: Promise<unknown>): Promise<string> {
  const message = await install.then(
    () => "no refusal",
    (error: Error) => error.message,
  );
  return /what it refused: (.*)$/.exec(message)?.[1] ?? message;
}

it("what a check refuses is kept for its owner, the last of each target, until one is accepted", async () => {
  const space = await createWorkspace();
  const path = await refusal(space.install("bad 1", { check }));
  expect(dirname(path)).toBe(join(space.folder, "../state/rejected"));
  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual(["bad 1", 0o600]);
  expect(await refusal(space.install("bad 2", { check }))).toBe(path);
  const one = { destination: join(space.folder, "a.cfg"), partOf: join(space.folder, "{{name}}.cfg") };
  const each = await refusal(space.install("bad 3", { check, ...one }));
  expect(readFileSync(path, "utf8")).toBe("bad 2");
  const { rejected } = await space.reopen();
  await rejected.drop(space.target());
  expect(readdirSync(dirname(path)).map((name) => join(dirname(path), name))).toEqual([each]);
  await rejected.drop({ destination: one.partOf });
  expect(existsSync(each)).toBe(false);
});

it("a state folder that holds nothing more changes nothing about a refusal", async () => {
  const space = await createWorkspace();
  writeFileSync(join(space.folder, "../state/rejected"), "");
  await expect(space.install("bad", { check })).rejects.toMatchObject({
    code: "CHECK_FAILED",
    message: expect.not.stringContaining("what it refused"),
  });
});
