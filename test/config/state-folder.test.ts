import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { keyPaths } from "../../src/config/options.ts";
import { templaterStateFolder } from "../../src/config/state-folder.ts";
import { tempDir } from "../servers/run.ts";

it("a templater's notes are found where a templater or an agent keeps them by default", async () => {
  const dir = tempDir("state-folder");
  const [system, env] = [join(dir, "system"), { XDG_STATE_HOME: join(dir, "xdg") }];
  const found = () => templaterStateFolder(env, system);
  expect(await found()).toBe(join(system, "templater"));
  for (const folder of ["xdg/portolan/agent", "system/agent", "xdg/portolan/templater", "system/templater"]) {
    mkdirSync(join(dir, folder), { recursive: true });
    writeFileSync(join(dir, folder, "accepted.json"), "{}");
    expect(await found()).toBe(join(dir, folder));
  }
});

it("in the config file it is the templater's, the agent's or everybody's state folder", () => {
  expect(keyPaths("rollback", "stateDir")).toEqual([
    ["templater", "stateDir"],
    ["agent", "stateDir"],
    ["stateDir"],
  ]);
});
