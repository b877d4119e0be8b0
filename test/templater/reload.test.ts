import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ReloadContext, reloaderOf } from "../../src/templater/reload/index.ts";
import { parsePid } from "../../src/templater/reload/pidfile.ts";
import type { Reload } from "../../src/templater/target.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const never = new AbortController().signal;
const reload = (how: Reload, context: Partial<ReloadContext> = {}) =>
  reloaderOf(how)(
    {
      destination: "/etc/proxy.cfg",
      changes: [],
      swappedAt: undefined,
      timeout: 10_000,
      env: process.env,
      interval: async () => {},
      clearance: async () => undefined,
      ...context,
    },
    never,
  );

describe("reload: none", () => {
  it("does nothing", async () => {
    await reload({ kind: "none" });
  });
});

describe("reload: command", () => {
  it("is accepted with code 0", async () => {
    const file = join(tempDir("reload"), "seen");
    const command = { shell: `printf %s "$X" > ${file}` };
    await reload({ kind: "command", command }, { env: { ...process.env, X: "yes" } });
    expect(readFileSync(file, "utf8")).toBe("yes");
  });

  it.each([
    [{ shell: "echo no luck; exit 9" }, "exited with code 9:\nno luck"],
    [{ argv: ["no-such-program"] }, "no-such-program: no such program"],
    [{ argv: ["sleep", "1000"] }, "`sleep 1000` did not end within 0.2 s"],
  ])("fails with %j", async (command, message) => {
    await expect(reload({ kind: "command", command }, { timeout: 200 })).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      message: expect.stringMatching(/^the reload of \/etc\/proxy\.cfg failed: /),
    });
    await expect(reload({ kind: "command", command }, { timeout: 200 })).rejects.toThrow(message);
  });
});

describe("reload: signal", () => {
  it("signals the process that the pidfile names now", async () => {
    const dir = tempDir("reload");
    const pidfile = join(dir, "pid");
    for (const name of ["first", "second"]) {
      const program = spawn("sh", [
        "-c",
        `trap 'touch ${dir}/${name}' HUP; touch ${dir}/up.${name}; while :; do sleep 0.05; done`,
      ]);
      onTestFinished(() => void program.kill("SIGKILL"));
      await waitFor("its trap", () => existsSync(join(dir, `up.${name}`)), { within: 10_000 });
      writeFileSync(pidfile, `${program.pid}\n`);
      await reload({ kind: "signal", name: "SIGHUP", pidfile });
      await waitFor("the signal", () => existsSync(join(dir, name)), { within: 10_000 });
    }
  });

  it("fails when the process is gone, naming it", async () => {
    const program = spawn("true");
    await once(program, "exit");
    const pidfile = join(tempDir("reload"), "pid");
    writeFileSync(pidfile, `${program.pid}`);
    await expect(reload({ kind: "signal", name: "SIGHUP", pidfile })).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      message: `SIGHUP was not sent: pidfile ${pidfile} names process ${program.pid}, which does not run; start the program`,
    });
  });

  it("fails when there is no pidfile, saying what that means", async () => {
    const pidfile = join(tempDir("reload"), "pid");
    await expect(reload({ kind: "signal", name: "SIGHUP", pidfile })).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      message: `SIGHUP was not sent: pidfile ${pidfile} does not exist; the program is probably not running, or writes another one`,
    });
    await expect(reload({ kind: "signal", name: "SIGHUP", pidfile: "/etc" })).rejects.toThrow(
      "cannot be read",
    );
  });

  it.each(["", "0", "-1", "-5", "1.5", "0x10", "4294967295", "99999999999999999999", "pid 7", "7 8", "٣"])(
    "sends nothing when the pidfile holds %j",
    async (text) => {
      const pidfile = join(tempDir("reload"), "pid");
      writeFileSync(pidfile, text);
      const error = reload({ kind: "signal", name: "SIGURG", pidfile });
      await expect(error).rejects.toMatchObject({ code: "RELOAD_FAILED" });
      await expect(error).rejects.toThrow("which is no process id");
    },
  );

  it("signals nobody who was started after the pidfile was written", async () => {
    const pidfile = join(tempDir("reload"), "pid");
    const other = spawn("sleep", ["1000"]);
    const ended = once(other, "exit");
    writeFileSync(pidfile, `${other.pid}`);
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(pidfile, hourAgo, hourAgo);
    await expect(reload({ kind: "signal", name: "SIGHUP", pidfile })).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "none",
      message: expect.stringContaining("was started after that file was written"),
    });
    // A SIGHUP would have ended it before.
    other.kill("SIGKILL");
    expect(await ended).toEqual([null, "SIGKILL"]);
  });

  it("never signals Portolan itself", async () => {
    const pidfile = join(tempDir("reload"), "pid");
    writeFileSync(pidfile, `${process.pid}\n`);
    await expect(reload({ kind: "signal", name: "SIGURG", pidfile })).rejects.toThrow(
      "names Portolan itself",
    );
  });

  it.each([
    ["12", 12],
    [" 12 \n", 12],
    ["12\n13\n", 12],
    ["4194304", 4194304],
  ])("reads %j", (text, pid) => {
    expect(parsePid(text)).toBe(pid);
  });
});
