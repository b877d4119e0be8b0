import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { identity } from "../../src/alive.ts";
import { sha256 } from "../../src/templater/hash.ts";
import type { Reload } from "../../src/templater/target.ts";
import { waitFor } from "../servers/wait.ts";
import { calm, createWorkspace, mount } from "./workspace.ts";

const failing: Reload = { kind: "command", command: { shell: "echo the proxy says no; exit 3" } };

describe("install", () => {
  it("stages, swaps, reloads and accepts new bytes, and tells how long each took", async () => {
    const space = await createWorkspace();
    const { verdict, took } = await space.install("one\n", {
      check: { argv: ["grep", "-q", "one", "{{src}}"] },
    });
    expect(verdict).toBe("applied");
    expect(Object.keys(took)).toEqual(["stage", "check", "swap", "reload"]);
    expect(space.live()).toBe("one\n");
    expect(space.running()).toBe("one\n");
    expect(space.names()).toEqual(["proxy.cfg"]);
  });

  it("T5: writes, checks and reloads nothing for equal bytes", async () => {
    const space = await createWorkspace();
    await space.install("one\n");
    const before = statSync(space.destination, { bigint: true });
    const again = await space.install("one\n", { check: { argv: ["false"] } });
    const after = statSync(space.destination, { bigint: true });
    expect(again).toEqual({ verdict: "unchanged", took: {} });
    expect([after.ino, after.mtimeNs, after.ctimeNs]).toEqual([before.ino, before.mtimeNs, before.ctimeNs]);
    expect(space.reloads()).toBe(1);
  });

  it("gives check and reload the PORTOLAN_ variables besides the caller's", async () => {
    const space = await createWorkspace();
    const seen = join(space.folder, "../seen");
    const command = { shell: `env | grep -E '^(PORTOLAN|MINE)' | grep -v STAGED | sort > ${seen}.$KIND` };
    const env = (KIND: string) => ({ PATH: process.env.PATH, MINE: "yes", KIND });
    await space.install(
      "one",
      { check: command, reload: { kind: "none" } },
      { env: env("check"), changed: ["a", "b"], revision: 7 },
    );
    await space.install(
      "two",
      { reload: { kind: "command", command } },
      { env: env("reload"), changed: ["a", "b"], revision: 7 },
    );
    const expected = `MINE=yes\nPORTOLAN_CHANGED=a,b\nPORTOLAN_DESTINATION=${space.destination}\nPORTOLAN_REVISION=7\nPORTOLAN_SOURCE=/templates/proxy.cfg.hbs\n`;
    expect(readFileSync(`${seen}.check`, "utf8")).toBe(expected);
    expect(readFileSync(`${seen}.reload`, "utf8")).toBe(expected);
  });

  it("T10: name services that say something else than a name as keys do", async () => {
    const space = await createWorkspace();
    const check = { shell: '[ "$PORTOLAN_CHANGED" = "a%2Cb,c%00d%0A,%24%28true%29" ]' };
    const changed = ["a,b", "c\0d\n", "$(true)"];
    expect((await space.install("one", { check }, { changed })).verdict).toBe("applied");
  });

  it("cuts a list of changed services that the kernel would not take", async () => {
    const space = await createWorkspace();
    const changed = Array.from({ length: 20_000 }, (_, i) => `service-${i}`);
    const check = { shell: 'case "$PORTOLAN_CHANGED" in service-0,*,...) ;; *) exit 1;; esac' };
    expect((await space.install("one", { check }, { changed })).verdict).toBe("applied");
  });
});

describe("T1: a check that fails", () => {
  it("leaves the live file, and shows command, exit code and output", async () => {
    const space = await createWorkspace();
    await space.install("one\n");
    const check = { shell: "echo line 12: bad >&2; grep -H . {{src}}; exit 4" };
    const error = await space.install("two\n", { check }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "CHECK_FAILED" });
    expect(String(error)).toMatch(
      /proxy\.cfg stays as it is: its check `echo line 12.*exited with code 4:\n/,
    );
    // Of two streams, either may arrive first.
    expect(String(error)).toMatch(/^line 12: bad$/m);
    expect(String(error)).toMatch(/:two$/m);
    expect([space.live(), space.running(), space.reloads()]).toEqual(["one\n", "one\n", 1]);
    expect(space.names()).toEqual(["proxy.cfg"]);
  });

  it("leaves no file when there was none", async () => {
    const space = await createWorkspace();
    await expect(space.install("x", { check: { argv: ["false"] } })).rejects.toMatchObject({
      code: "CHECK_FAILED",
    });
    expect(space.names()).toEqual([]);
  });

  it("says so when the program is missing", async () => {
    const space = await createWorkspace();
    await expect(space.install("x", { check: { argv: ["no-such-program", "{{src}}"] } })).rejects.toThrow(
      /code 127:\nno-such-program: no such program; install it/,
    );
  });

  it("names the timeout of one that hangs (T8), and goes on with the next text", async () => {
    const space = await createWorkspace();
    const check = { shell: "trap '' TERM; grep -q good {{src}} || { sleep 1000 & sleep 1000; }" };
    const began = performance.now();
    await expect(space.install("bad", { check, commandTimeout: 300 })).rejects.toMatchObject({
      code: "CHECK_FAILED",
      message: expect.stringContaining("did not end within 0.3 s"),
    });
    expect(performance.now() - began).toBeLessThan(23_000);
    expect(space.names()).toEqual([]);
    expect((await space.install("good", { check })).verdict).toBe("applied");
  });

  it("sees the staged file's path whatever it holds, and runs none of it (T10)", async () => {
    const space = await createWorkspace(`a b'c"$(touch pwned)\`touch pwned\`;&|<>*?~#!{{src}}\\.cfg`);
    const tests = [`test "$(cat {{src}})" = one`, `test "$(cat "$PORTOLAN_STAGED")" = one`];
    for (const shell of tests) {
      await space.install("one", { check: { shell: `cd ${space.folder}/..; ${shell}` } });
      await space.install("two", { check: { argv: ["grep", "-q", "two", "{{src}}"] } });
    }
    // Quotes of the operator's own may make the path wrong, but never a command.
    for (const shell of [`: "{{src}}"`, `: '{{src}}'`]) {
      await space.install(shell, { check: { shell: `cd ${space.folder}/..; ${shell}` } }).catch(() => {});
    }
    expect(readdirSync(join(space.folder, ".."))).not.toContain("pwned");
    expect(space.names()).toHaveLength(1);
  });
});

describe("a turn that is overtaken", () => {
  it("has staged and checked, and leaves nothing behind", async () => {
    const space = await createWorkspace();
    await space.install("one");
    const stages: string[][] = [];
    const turn = {
      ...calm,
      settled: async () => {
        stages.push([...space.names()]);
        return false;
      },
    };
    const done = await space.install("two", { check: { argv: ["true"] } }, { turn });
    expect(done.verdict).toBe("superseded");
    expect(stages[0]).toHaveLength(2);
    expect(space.names()).toEqual(["proxy.cfg"]);
    expect([space.live(), space.reloads()]).toEqual(["one", 1]);
  });

  it("ends a check when it is aborted", async () => {
    const space = await createWorkspace();
    const stop = new AbortController();
    const check = { shell: `touch ${space.folder}/../checking; sleep 1000` };
    const pass = space.install(
      "two",
      { check },
      { turn: { signal: stop.signal, settled: async () => false } },
    );
    const expected = expect(pass).rejects.toMatchObject({ code: "ABORTED" });
    await waitFor("the check", () => readdirSync(join(space.folder, "..")).includes("checking"), {
      within: 10_000,
    });
    stop.abort();
    await expected;
    expect(space.names()).toEqual([]);
  });

  it("finishes a reload in hand, and gives one that hangs up", async () => {
    const space = await createWorkspace();
    const stop = new AbortController();
    const turn = { signal: stop.signal, settled: async () => true };
    const reload = (seconds: number): Reload => ({
      kind: "command",
      command: { shell: `touch ${space.folder}/../r; sleep ${seconds}` },
    });
    const reloading = () =>
      waitFor("the reload", () => readdirSync(join(space.folder, "..")).includes("r"), { within: 10_000 });
    const short = space.install("one", { reload: reload(0.5) }, { turn });
    await reloading();
    stop.abort();
    expect((await short).verdict).toBe("applied");
    await expect(space.install("two", { reload: reload(1000) }, { turn })).rejects.toMatchObject({
      code: "ABORTED",
    });
    expect((await space.install("two")).verdict).toBe("reloaded");
  });
});

describe("T7: a reload that is owed", () => {
  it("is tried again after it failed, and its output is shown", async () => {
    const space = await createWorkspace();
    for (let i = 0; i < 2; i++) {
      await expect(space.install("one", { reload: failing })).rejects.toMatchObject({
        code: "RELOAD_FAILED",
        message: expect.stringMatching(/proxy\.cfg failed: .* exited with code 3:\nthe proxy says no/),
      });
    }
    expect(await space.install("one")).toMatchObject({
      verdict: "reloaded",
      took: { reload: expect.any(Number) },
    });
    expect(space.running()).toBe("one");
    expect((await space.install("one")).verdict).toBe("unchanged");
  });

  it("is owed at the first start without a record", async () => {
    const space = await createWorkspace();
    writeFileSync(space.destination, "one");
    expect((await space.install("one")).verdict).toBe("reloaded");
    expect(space.reloads()).toBe(1);
    expect((await space.install("one", {}, { records: await space.reopen() })).verdict).toBe("unchanged");
  });

  it("is owed after a step back to what had been accepted before, even after a crash", async () => {
    const space = await createWorkspace();
    await space.install("one");
    // The proxy may have taken this although it reported a failure.
    await expect(space.install("two", { reload: failing })).rejects.toMatchObject({ code: "RELOAD_FAILED" });
    // A reload that fails and a crash before it leave the same on the disk.
    await expect(space.install("one", { reload: failing })).rejects.toMatchObject({ code: "RELOAD_FAILED" });
    const records = await space.reopen();
    expect((await space.install("one", {}, { records })).verdict).toBe("reloaded");
    expect(space.reloads()).toBe(2);
  });

  it("is owed after somebody else changed the live file", async () => {
    const space = await createWorkspace();
    await space.install("one");
    writeFileSync(space.destination, "by hand");
    expect((await space.install("one")).verdict).toBe("applied");
    expect([space.live(), space.reloads()]).toEqual(["one", 2]);
    // As many bytes, and so soon that the file's times may be the same.
    writeFileSync(space.destination, "own");
    expect((await space.install("one")).verdict).toBe("applied");
    expect([space.live(), space.reloads()]).toEqual(["one", 3]);
  });

  it("is none where the swap is the acceptance", async () => {
    const space = await createWorkspace();
    const none = { reload: { kind: "none" } } as const;
    writeFileSync(space.destination, "one");
    expect((await space.install("one", none)).verdict).toBe("unchanged");
    expect((await space.install("two", none)).verdict).toBe("applied");
    expect((await space.install("two")).verdict).toBe("unchanged");
  });

  it("waits for the turn, like a swap", async () => {
    const space = await createWorkspace();
    writeFileSync(space.destination, "one");
    const turn = { ...calm, settled: async () => false };
    expect((await space.install("one", {}, { turn })).verdict).toBe("superseded");
    expect(space.reloads()).toBe(0);
  });
});

describe("a state folder that is full", () => {
  it("holds up no file, repeats no reload, and what was accepted last can still be put back", async () => {
    const space = await createWorkspace();
    const count = join(space.folder, "../count");
    const shell = `printf . >> ${count}; ! grep -q three ${space.destination}`;
    const reload: Reload = { kind: "command", command: { shell } };
    await space.install("one", { reload });
    const state = join(space.folder, "../state");
    await mount(["-t", "tmpfs", "-o", "size=64k", "tmpfs"], state);
    const ballast = join(state, "ballast");
    expect(() => writeFileSync(ballast, "x".repeat(100_000))).toThrow("ENOSPC");
    expect((await space.install("two", { reload })).verdict).toBe("applied");
    expect(space.warnings).toMatchObject([{ message: "applied, but not recorded" }]);
    expect((await space.install("two", { reload })).verdict).toBe("unchanged");
    expect(readFileSync(count, "utf8")).toBe("..");
    await expect(space.install("three", { reload })).rejects.toMatchObject({ restored: true });
    expect(space.live()).toBe("two");
    expect((await space.install("two", { reload })).verdict).toBe("reloaded");
    writeFileSync(ballast, "");
    expect((await space.install("four", { reload })).verdict).toBe("applied");
    expect(space.warnings).toHaveLength(1);
    const { accepted, backups } = await space.reopen();
    expect(accepted.get(space.destination)).toBe(sha256("four"));
    expect((await backups.all(space.destination)).map(String)).toEqual(["four"]);
  });

  it("holds up no file where none was before", async () => {
    const space = await createWorkspace();
    const state = join(space.folder, "../state");
    await mount(["-t", "tmpfs", "-o", "size=64k", "tmpfs"], state);
    expect(() => writeFileSync(join(state, "ballast"), "x".repeat(100_000))).toThrow("ENOSPC");
    await expect(space.install("one", { reload: failing })).rejects.toMatchObject({ restored: false });
    await expect(space.install("two", { reload: failing })).rejects.toMatchObject({ restored: false });
    expect((await space.install("two")).verdict).toBe("reloaded");
  });

  it("never puts back what is older than what was accepted", async () => {
    const space = await createWorkspace();
    await space.install("one");
    await space.install("two");
    const { backups } = space.records;
    // As after a full disk and a start since then: "two" was accepted, and was not kept.
    const folder = join(space.folder, "../state/backups");
    const [mine = ""] = readdirSync(folder);
    rmSync(join(folder, mine, readdirSync(join(folder, mine)).sort().at(-1) ?? ""));
    expect(String(await backups.last(space.destination))).toBe("one");
    writeFileSync(space.destination, "by hand");
    await expect(space.install("three", { reload: failing })).rejects.toMatchObject({ restored: false });
    expect(space.live()).toBe("three");
  });
});

describe("the file", () => {
  it("is 0644 when it is new, keeps mode and owner otherwise, and the check sees both", async () => {
    const space = await createWorkspace();
    const access = () => {
      const { mode, uid, gid } = statSync(space.destination);
      return [(mode & 0o7777).toString(8), uid, gid];
    };
    await space.install("one");
    expect(access()).toEqual(["644", process.getuid?.(), process.getgid?.()]);
    chmodSync(space.destination, 0o640);
    chownSync(space.destination, 12, 34);
    const seen = join(space.folder, "../seen");
    await space.install("two", { check: { shell: `stat -c '%a %u %g' {{src}} > ${seen}` } });
    expect(readFileSync(seen, "utf8")).toBe("640 12 34\n");
    expect(access()).toEqual(["640", 12, 34]);
    await space.install("three", { mode: 0o604 });
    expect(access()).toEqual(["604", 12, 34]);
    expect((await space.install("three", { mode: 0o600 })).verdict).toBe("unchanged");
    expect(access()).toEqual(["600", 12, 34]);
  });

  it.each(["exists", "is still missing"])("stays a symbolic link whose target %s", async (kind) => {
    const space = await createWorkspace();
    const other = join(space.folder, "../other");
    mkdirSync(other);
    symlinkSync("../other/real.cfg", space.destination);
    if (kind === "exists") writeFileSync(join(other, "real.cfg"), "old");
    const check = { shell: "case {{src}} in */other/.real.cfg.portolan-*) ;; *) exit 1;; esac" };
    expect((await space.install("new", { check })).verdict).toBe("applied");
    expect(lstatSync(space.destination).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(other, "real.cfg"), "utf8")).toBe("new");
    expect([space.names(), readdirSync(other)]).toEqual([["proxy.cfg"], ["real.cfg"]]);
  });

  it.each(["file", "folder"])(
    "is followed when its %s was moved, and a link stands in the place",
    async (what) => {
      const space = await createWorkspace();
      await space.install("one");
      const other = join(space.folder, "../other");
      if (what === "folder") {
        renameSync(space.folder, other);
        symlinkSync("other", space.folder);
      } else {
        mkdirSync(other);
        renameSync(space.destination, join(other, "proxy.cfg"));
        symlinkSync("../other/proxy.cfg", space.destination);
      }
      await space.install("two");
      expect(readFileSync(join(other, "proxy.cfg"), "utf8")).toBe("two");
      const link = what === "folder" ? space.folder : space.destination;
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(readdirSync(other)).toEqual(["proxy.cfg"]);
    },
  );

  it("may have a long name", async () => {
    const space = await createWorkspace("ü".repeat(127));
    await space.install("one");
    expect(space.live()).toBe("one");
  });

  it("cannot be in a folder that does not exist, nor be a folder or a pipe", async () => {
    const space = await createWorkspace();
    const tryIt = (destination: string) => space.install("one", { destination });
    const missing = join(space.folder, "no/where.cfg");
    await expect(tryIt(missing)).rejects.toMatchObject({
      code: "DESTINATION",
      message: `${missing} was not written: folder ${space.folder}/no does not exist; create it, or correct destination`,
    });
    await expect(tryIt(space.folder)).rejects.toMatchObject({
      code: "DESTINATION",
      message: `${space.folder} is a folder; set destination to the path of a file`,
    });
    execFileSync("mkfifo", [space.destination]);
    await expect(tryIt(space.destination)).rejects.toMatchObject({ code: "DESTINATION" });
    writeFileSync(join(space.folder, "file"), "");
    await expect(tryIt(join(space.folder, "file/x.cfg"))).rejects.toMatchObject({ code: "DESTINATION" });
    symlinkSync("round", join(space.folder, "round"));
    await expect(tryIt(join(space.folder, "round"))).rejects.toThrow("run in a circle");
  });

  it("stays whole on a full disk, and is written once there is room", async () => {
    const space = await createWorkspace();
    await mount(["-t", "tmpfs", "-o", "size=256k", "tmpfs"], space.folder);
    await space.install("one");
    writeFileSync(join(space.folder, "ballast"), "x".repeat(200_000));
    const big = "two\n".repeat(30_000);
    await expect(space.install(big)).rejects.toMatchObject({
      code: "DESTINATION",
      message: expect.stringContaining("no space left"),
    });
    expect([space.live(), space.names()]).toEqual(["one", ["ballast", "proxy.cfg"]]);
    writeFileSync(join(space.folder, "ballast"), "");
    expect((await space.install(big)).verdict).toBe("applied");
  });

  it("stays whole on a disk that became read-only", async () => {
    const space = await createWorkspace();
    await mount(["-t", "tmpfs", "tmpfs"], space.folder);
    await space.install("one");
    execFileSync("mount", ["-o", "remount,ro", space.folder]);
    await expect(space.install("two")).rejects.toMatchObject({
      code: "DESTINATION",
      message: expect.stringContaining("read-only"),
    });
    expect([space.live(), space.names()]).toEqual(["one", ["proxy.cfg"]]);
  });

  it("is written in place when it is a mount of its own, with one warning", async () => {
    const space = await createWorkspace();
    const outside = join(space.folder, "../outside.cfg");
    writeFileSync(outside, "a longer old text\n");
    writeFileSync(space.destination, "");
    await mount(["--bind", outside], space.destination);
    for (const text of ["one\n", "two\n", "a longer new text\n"]) {
      expect((await space.install(text)).verdict).toBe("applied");
      expect([readFileSync(outside, "utf8"), space.running()]).toEqual([text, text]);
    }
    expect(space.names()).toEqual(["proxy.cfg"]);
    expect(space.warnings).toHaveLength(1);
    expect(space.warnings[0]).toMatchObject({ destination: space.destination });
  });

  it("gets its old bytes back when it is a mount and the disk is full", async () => {
    const space = await createWorkspace();
    const disk = join(space.folder, "../disk");
    mkdirSync(disk);
    await mount(["-t", "tmpfs", "-o", "size=64k", "tmpfs"], disk);
    writeFileSync(join(disk, "outside.cfg"), "old\n".repeat(2_000));
    writeFileSync(space.destination, "");
    await mount(["--bind", join(disk, "outside.cfg")], space.destination);
    await expect(space.install("new\n".repeat(30_000))).rejects.toMatchObject({ code: "DESTINATION" });
    expect(space.live()).toBe("old\n".repeat(2_000));
  });
});

describe("what a crashed process left staged", () => {
  it("is removed, but not what a live process or somebody else has there", async () => {
    const space = await createWorkspace();
    const other = spawn("sleep", ["1000"]);
    onTestFinished(() => void other.kill("SIGKILL"));
    const live = identity(other.pid);
    const dead = `${live?.slice(0, 8)}-${other.pid}-1`;
    const foreign = [`.x.portolan-${live}`, ".portolan-notes", ".x.portolan-1-2", "x.portolan-00000000-1-1"];
    for (const name of [`.x.portolan-${dead}`, ".y.z.portolan-00000000-4000000-77", ...foreign]) {
      writeFileSync(join(space.folder, name), "left");
    }
    await space.install("one");
    expect(space.names()).toEqual([...foreign, "proxy.cfg"].sort());
  });
});
