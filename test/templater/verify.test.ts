// A target's own verification after the reload.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type InstallRequest, install, reloadOwed } from "../../src/templater/install.ts";
import type { Target } from "../../src/templater/target.ts";
import { waitFor } from "../servers/wait.ts";
import { calm, createWorkspace } from "./workspace.ts";

async function verified(shell: string, changes: Partial<Target> = {}) {
  const space = await createWorkspace();
  const all = { verify: { shell }, ...changes };
  const request = (text: string): InstallRequest => ({
    files: [{ text, target: space.target(all) }],
    turn: calm,
    records: space.records,
    revision: 7,
    changed: ["web"],
    env: process.env,
    log: { warn: () => {} },
  });
  return { space, put: (text: string) => space.install(text, all), request };
}

describe("what verifies a reload", () => {
  it("runs once the proxy has taken the file, and is told of the change", async () => {
    const { space, put } = await verified(
      'cp "$0" /dev/null 2>&1; echo "$PORTOLAN_CHANGED $PORTOLAN_REVISION $PORTOLAN_DESTINATION $(cat "$PORTOLAN_DESTINATION")" > "$PORTOLAN_DESTINATION".seen',
    );
    const { verdict, took } = await put("one");
    expect([verdict, Object.keys(took)]).toEqual(["applied", ["stage", "swap", "reload", "verify"]]);
    expect(readFileSync(`${space.destination}.seen`, "utf8")).toBe(`web 1 ${space.destination} one\n`);
    // Nothing was done: nothing is to be verified.
    writeFileSync(`${space.destination}.seen`, "");
    expect((await put("one")).verdict).toBe("unchanged");
    expect(readFileSync(`${space.destination}.seen`, "utf8")).toBe("");
  });

  it("T7: puts the last good file back when it fails, which is reloaded, and says what it printed", async () => {
    const { space, put, request } = await verified(
      '! grep -q bad "$PORTOLAN_DESTINATION" || { echo 502 from web; exit 3; }',
    );
    await put("one");
    await expect(put("bad")).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "open",
      restored: true,
      message: expect.stringMatching(/verification failed: .*code 3[\s\S]*502 from web/),
    });
    expect([space.live(), space.running(), space.reloads()]).toEqual(["one", "bad", 2]);
    expect((await reloadOwed(request("bad"))).verdict).toBe("reloaded");
    expect([space.live(), space.running(), space.reloads()]).toEqual(["one", "one", 3]);
  });

  it("does not judge what it is not asked of: the last good file, which was accepted before", async () => {
    const { space, put, request } = await verified(`test -e "$(dirname "$PORTOLAN_DESTINATION")/../up"`);
    writeFileSync(join(space.folder, "../up"), "");
    await put("one");
    rmSync(join(space.folder, "../up"));
    await expect(put("two")).rejects.toMatchObject({ restored: true });
    expect((await reloadOwed(request("two"))).verdict).toBe("reloaded");
    expect(space.running()).toBe("one");
  });

  it("T7: is made up for by the next process when this one ended before it", async () => {
    const { space, put, request } = await verified('touch "$PORTOLAN_DESTINATION".verified');
    await put("one");
    await space
      .install("two", { reload: { kind: "command", command: { shell: "kill -9 $$" } } })
      .catch(() => {});
    const records = await space.reopen();
    await install({ ...request("two"), records });
    expect([space.live(), existsSync(`${space.destination}.verified`)]).toEqual(["two", true]);
  });

  it("T8: is ended at its timeout with all that it has started", async () => {
    const { space, put } = await verified('sleep 600 & echo $! > "$PORTOLAN_DESTINATION".pid; wait', {
      commandTimeout: 300,
    });
    await expect(put("one")).rejects.toMatchObject({ message: expect.stringContaining("0.3 s") });
    const pid = Number(readFileSync(`${space.destination}.pid`, "utf8"));
    const isOver = () =>
      !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
    await waitFor("the end of the process group", isOver, { within: 10_000 });
  });
});
