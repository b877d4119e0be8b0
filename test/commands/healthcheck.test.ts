import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { noneRuns } from "../../src/commands/healthcheck.ts";
import { stateFolders } from "../../src/config/state-folder.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { startStatusServer } from "../../src/status/server.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { runHere } from "./run-here.ts";

/** A state folder of a process that runs, with this in its note of where it listens. */
async function held(listen?: string): Promise<string> {
  const dir = tempDir("healthcheck");
  const state = await openStateDir(dir);
  onTestFinished(() => state.close());
  if (listen !== undefined) await state.write("listen", `${listen}\n`);
  return dir;
}

const check = (dir: string) => runHere(["healthcheck", "--state-dir", dir], dir);

async function served(): Promise<string> {
  const daemon = () => ({ notReady: () => ["Docker is away"], status: () => ({}) });
  const server = await startStatusServer({
    ...{ host: "127.0.0.1", port: 0, version: "1", command: "registrator" },
    metrics: createMetrics(),
    daemon,
  });
  onTestFinished(() => server.close());
  return server.address;
}

it("says ok for a process that answers, ready or not", async () => {
  expect(await check(await held(await served()))).toEqual({ code: 0, stdout: "ok\n", stderr: "" });
});

it("says what is wrong with a process that does not answer", async () => {
  const closed = `127.0.0.1:${await freePort()}`;
  const cases = [
    [undefined, "it is still starting"],
    ["off", "start it without --listen off"],
    [closed, `http://${closed}/healthz: connect ECONNREFUSED`],
  ] as const;
  for (const [listen, reason] of cases) {
    const { code, stderr } = await check(await held(listen));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(reason) });
    expect(stderr).toContain(`process ${process.pid} (`);
  }
});

it("gives up on a process that hangs", async () => {
  const mute = createServer();
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void mute.close());
  const { port } = mute.address() as { port: number };
  const { code, stderr } = await check(await held(`127.0.0.1:${port}`));
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("did not answer in time") });
});

it("takes what a dead process has left for nothing, and names the folder", async () => {
  const dir = tempDir("healthcheck");
  writeFileSync(join(dir, "lock.3"), "00000000-1-1");
  writeFileSync(join(dir, "listen"), await served());
  const { code, stderr } = await check(dir);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`runs with ${dir}`) });
  expect(stderr).toContain("--state-dir");
});

it("looks where registrator, templater and agent keep their notes by default", async () => {
  const dir = tempDir("healthcheck");
  const state = await openStateDir(join(dir, "portolan", "agent"));
  onTestFinished(() => state.close());
  await state.write("listen", await served());
  const { code } = await runHere(["healthcheck"], dir, { XDG_STATE_HOME: dir });
  expect(code).toBe(0);
});

it("names in a few words where it has looked for one, and the way out", () => {
  const folders = stateFolders({ XDG_STATE_HOME: "/home/me/state" });
  expect(noneRuns(undefined, folders).message).toBe(
    "no registrator, templater or agent runs with a state folder in /var/lib/portolan/state or /home/me/state/portolan; start one, or name the folder of one that runs with --state-dir",
  );
});
