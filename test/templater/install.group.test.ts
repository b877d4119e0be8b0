import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type InstallRequest, install, reloadOwed } from "../../src/templater/install.ts";
import type { Target } from "../../src/templater/target.ts";
import { startNginx } from "../servers/nginx.ts";
import { freePort } from "../servers/ports.ts";
import { calm, createWorkspace, mount, type Workspace } from "./workspace.ts";

/** A group of three files in folders of their own, and a reload that counts and copies what it sees. */
async function createGroup(reload?: Target["reload"]) {
  const space = await createWorkspace("a.cfg");
  const seen = join(space.folder, "../seen");
  const paths = ["a", "b", "c"].map((name) => join(space.folder, name, `${name}.cfg`));
  for (const name of ["a", "b", "c"]) mkdirSync(join(space.folder, name));
  const all = paths.join(" ");
  const command = { shell: `cat ${all} | tr -d '\\n' >> ${seen}; echo >> ${seen}` };
  const group = (
    texts: readonly string[],
    changes: (index: number) => Partial<Target> = () => ({}),
    request: Partial<InstallRequest> = {},
  ) =>
    install({
      files: texts.map((text, index) => ({
        text,
        target: space.target({
          destination: paths[index] ?? "",
          group: "lb",
          reload: reload ?? { kind: "command", command },
          ...changes(index),
        }),
      })),
      turn: calm,
      records: space.records,
      revision: 1,
      changed: [],
      env: process.env,
      log: { warn: () => {} },
      ...request,
    });
  return {
    space,
    paths,
    group,
    live: () =>
      paths.map((path) => {
        try {
          return readFileSync(path, "utf8");
        } catch {
          return undefined;
        }
      }),
    reloads: () => readFileSync(seen, "utf8").trim().split("\n"),
  };
}

describe("T9: a group", () => {
  it("swaps together and reloads once, whichever of its files has changed", async () => {
    const { group, live, reloads } = await createGroup();
    expect((await group(["1", "1", "1"])).verdict).toBe("applied");
    expect((await group(["1", "2", "1"])).verdict).toBe("applied");
    expect((await group(["1", "2", "1"])).verdict).toBe("unchanged");
    expect((await group(["3", "3", "3"])).verdict).toBe("applied");
    expect(live()).toEqual(["3", "3", "3"]);
    expect(reloads()).toEqual(["111", "121", "333"]);
  });

  it("reloads each proxy once when its files have several", async () => {
    const { group, space } = await createGroup();
    const note = (name: string) => join(space.folder, `../reloads.${name}`);
    const count = (name: string): Target["reload"] => ({
      kind: "command",
      command: { shell: `echo x >> ${note(name)}` },
    });
    const ways = [count("one"), count("two"), count("one")];
    const each = (index: number) => ({ reload: ways[index] ?? { kind: "none" as const } });
    await group(["1", "1", "1"], each);
    await group(["1", "1", "2"], each);
    expect([readFileSync(note("one"), "utf8"), readFileSync(note("two"), "utf8")]).toEqual([
      "x\nx\n",
      "x\nx\n",
    ]);
  });

  it("swaps nothing when one of its checks fails", async () => {
    const { group, live, reloads } = await createGroup();
    await group(["1", "1", "1"]);
    const refused = group(["2", "2", "2"], (index) => (index === 2 ? { check: { argv: ["false"] } } : {}));
    await expect(refused).rejects.toMatchObject({ code: "CHECK_FAILED" });
    expect([live(), reloads()]).toEqual([["1", "1", "1"], ["111"]]);
  });

  it("gives back what it has swapped when the last one cannot be", async () => {
    const { group, live, paths, space, reloads } = await createGroup();
    await group(["1", "1", "1"]);
    chmodSync(paths[0] ?? "", 0o640);
    chownSync(paths[0] ?? "", 12, 34);
    // The folder can be written, and the name in it cannot be replaced.
    const third = paths[2] ?? "";
    await mount(["--bind", third], third);
    execFileSync("mount", ["-o", "remount,ro,bind", third]);
    await expect(group(["2", "2", "2"])).rejects.toMatchObject({ code: "DESTINATION" });
    expect(live()).toEqual(["1", "1", "1"]);
    const { mode, uid, gid } = statSync(paths[0] ?? "");
    expect([mode & 0o777, uid, gid]).toEqual([0o640, 12, 34]);
    expect(reloads()).toEqual(["111"]);
    await space.reopen();
    expect(live()).toEqual(["1", "1", "1"]);
  });

  it("takes away what was not there before when the last one cannot be swapped", async () => {
    const { group, live, paths, space } = await createGroup();
    const third = paths[2] ?? "";
    writeFileSync(third, "0");
    await mount(["--bind", third], third);
    execFileSync("mount", ["-o", "remount,ro,bind", third]);
    await expect(group(["2", "2", "2"])).rejects.toMatchObject({ code: "DESTINATION" });
    expect(live()).toEqual([undefined, undefined, "0"]);
    await space.reopen();
    expect(live()).toEqual([undefined, undefined, "0"]);
  });

  it("T7: gets all its last good files back when the proxy refuses the new ones", async () => {
    const command = { shell: 'grep -q bad "$(dirname "$PORTOLAN_DESTINATION")/../b/b.cfg" && exit 1; true' };
    const { group, live } = await createGroup({ kind: "command", command });
    await group(["1", "1", "1"]);
    await expect(group(["2", "bad", "2"])).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "open",
      restored: true,
    });
    expect(live()).toEqual(["1", "1", "1"]);
    // Nobody knows what the proxy has taken: what is back is owed a reload.
    expect((await group(["1", "1", "1"])).verdict).toBe("reloaded");
  });
});

describe("a group with several proxies", () => {
  /** A way of reloading that notes what it sees of the first file, and ends with a code that a file holds. */
  const proxy = (space: Workspace, name: string) => {
    const [log, code] = [join(space.folder, `../${name}.log`), join(space.folder, `../${name}.code`)];
    writeFileSync(code, "0");
    const shell = `cat ${join(space.folder, "a/a.cfg")} >> ${log}; echo >> ${log}; exit $(cat ${code})`;
    return {
      reload: { kind: "command", command: { shell } } as Target["reload"],
      answers: (next: number) => writeFileSync(code, String(next)),
      saw: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []),
    };
  };
  const several = async () => {
    const made = await createGroup();
    const [one, two] = [proxy(made.space, "one"), proxy(made.space, "two")];
    const ways = [one.reload, two.reload, { kind: "none" } as const];
    const each = (index: number) => ({ reload: ways[index] ?? { kind: "none" as const } });
    const install = (text: string) => made.group([text, text, text], each);
    return { ...made, one, two, install };
  };

  it("reloads the others while one is away, and each of them once", async () => {
    const { one, two, install } = await several();
    // 127: it could not be run at all, so nobody was told.
    one.answers(127);
    for (let i = 0; i < 3; i++) await expect(install("1")).rejects.toMatchObject({ left: "none" });
    expect([one.saw(), two.saw()]).toEqual([["1", "1", "1"], ["1"]]);
    await expect(install("2")).rejects.toMatchObject({ left: "none" });
    expect(two.saw()).toEqual(["1", "2"]);
    // A step back is a change for who has taken the step.
    await expect(install("1")).rejects.toMatchObject({ left: "none" });
    expect(two.saw()).toEqual(["1", "2", "1"]);
    one.answers(0);
    expect((await install("1")).verdict).toBe("reloaded");
    expect([one.saw().at(-1), two.saw()]).toEqual(["1", ["1", "2", "1"]]);
    expect((await install("1")).verdict).toBe("unchanged");
  });

  it("gives back what it had to who had taken what another one refused", async () => {
    const { one, two, install, live } = await several();
    await install("1");
    two.answers(1);
    await expect(install("2")).rejects.toMatchObject({ left: "open", restored: true });
    expect(live()).toEqual(["1", "1", "1"]);
    two.answers(0);
    expect((await install("1")).verdict).toBe("reloaded");
    expect([one.saw(), two.saw()]).toEqual([
      ["1", "2", "1"],
      ["1", "2", "1"],
    ]);
  });

  it("leaves nobody with the refused file where the one who refused goes on with what it had", async () => {
    const space = await createWorkspace("nginx.conf");
    const [dir, port] = [join(space.folder, ".."), await freePort()];
    const config = (answer: string, more = "") =>
      `error_log ${dir}/error.log;\nevents {}\nhttp { access_log off; client_body_temp_path ${dir}/body;
       server { listen 127.0.0.1:${port}; location / { return 200 ${answer}; } ${more} } }\n`;
    writeFileSync(space.destination, config("v1"));
    const nginx = await startNginx({ config: space.destination });
    onTestFinished(nginx.stop);
    const first = proxy(space, "first");
    const companion = join(space.folder, "a");
    mkdirSync(companion);
    const both = (name: string, text: string) =>
      installed(
        {
          text: name,
          target: space.target({ destination: join(companion, "a.cfg"), group: "lb", reload: first.reload }),
        },
        {
          text,
          target: space.target({
            group: "lb",
            reload: { kind: "nginx", pidfile: nginx.pidFile, maxOld: 4 },
          }),
        },
      );
    const installed = (...files: InstallRequest["files"]) =>
      install({
        files,
        turn: calm,
        records: space.records,
        revision: 1,
        changed: [],
        env: process.env,
        log: { warn: () => {} },
      });
    await both("1", config("v1"));
    await expect(both("2", config("v2", "nonsense;"))).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "open",
      restored: true,
    });
    expect(first.saw()).toEqual(["1", "2"]);
    expect((await both("1", config("v1"))).verdict).toBe("reloaded");
    expect(first.saw()).toEqual(["1", "2", "1"]);
  });
});

describe("a file that is new in its group", () => {
  /** A main file whose check asks for the other one at its place, as `haproxy -c` does for a map. */
  const withMap = async () => {
    const made = await createGroup();
    const map = made.paths[1] ?? "";
    const check = { shell: `test -e ${map} && ! grep -q bad {{src}}` };
    const each = (index: number): Partial<Target> => (index === 0 ? { check } : {});
    return { ...made, map, install: (texts: readonly string[]) => made.group(texts, each) };
  };

  it("is there when the others are checked", async () => {
    const { install, live, reloads, space } = await withMap();
    expect((await install(["main", "map", "x"])).verdict).toBe("applied");
    expect(live()).toEqual(["main", "map", "x"]);
    expect(reloads()).toEqual(["mainmapx"]);
    const left = ["a", "b", "c"].flatMap((name) => readdirSync(join(space.folder, name)));
    expect(left).toEqual(["a.cfg", "b.cfg", "c.cfg"]);
  });

  it.each(["fails", "is overtaken"])("goes again when the check %s, and with the process", async (how) => {
    const { install, live, group, space } = await withMap();
    if (how === "fails") {
      await expect(install(["bad", "map", "x"])).rejects.toMatchObject({ code: "CHECK_FAILED" });
    } else {
      const turn = { ...calm, settled: async () => false };
      const check = { check: { argv: ["true"] } };
      const each = (index: number): Partial<Target> => (index === 0 ? check : {});
      expect((await group(["main", "map", "x"], each, { turn })).verdict).toBe("superseded");
    }
    expect(live()).toEqual([undefined, undefined, undefined]);
    expect(readdirSync(join(space.folder, "../state")).filter((name) => name.startsWith("swap"))).toEqual([]);
    // A process that dies in between leaves this.
    const path = join(space.folder, "b/b.cfg");
    writeFileSync(path, "map");
    await space.records.intents.begin("lb", [{ path, staged: undefined, hash: "" }]);
    await space.reopen();
    expect(live()).toEqual([undefined, undefined, undefined]);
  });

  it("T7: goes with the others when the proxy refuses them", async () => {
    const { group, live, space } = await createGroup();
    const shell = `! grep -q bad ${space.folder}/*/*.cfg`;
    const each = () => ({ reload: { kind: "command", command: { shell } } as const });
    await group(["1", "1"], each);
    await expect(group(["bad", "2", "2"], each)).rejects.toMatchObject({ left: "open", restored: true });
    expect(live()).toEqual(["1", "1", undefined]);
  });

  it("T7: goes each time, also over a restart, and what was there before Portolan is back", async () => {
    const { group, live, paths, space } = await createGroup();
    writeFileSync(paths[0] ?? "", "by hand");
    const each = () => ({ reload: { kind: "command", command: { shell: "exit 3" } } as const });
    for (const text of ["1", "2"]) {
      const refused = group([text, text, text], each, { records: await space.reopen() });
      await expect(refused).rejects.toMatchObject({ left: "open", restored: true });
      expect(live()).toEqual(["by hand", undefined, undefined]);
    }
  });
});

describe("the last good file", () => {
  it("T7: is put back and reloaded as it was, byte for byte, or not at all when it is gone", async () => {
    const space = await createWorkspace();
    const latin = Buffer.from("h\xe4proxy\n", "latin1");
    writeFileSync(space.destination, latin);
    const refusing: Target["reload"] = {
      kind: "command",
      command: { shell: `! grep -q bad ${space.destination}` },
    };
    await expect(space.install("bad\n", { reload: refusing })).rejects.toMatchObject({ restored: true });
    const request: InstallRequest = {
      files: [{ text: "bad\n", target: space.target({ reload: refusing }) }],
      turn: calm,
      records: space.records,
      revision: 1,
      changed: [],
      env: process.env,
      log: { warn: () => {} },
    };
    expect((await reloadOwed(request)).verdict).toBe("reloaded");
    expect(readFileSync(space.destination).equals(latin)).toBe(true);
    rmSync(space.destination);
    expect((await reloadOwed(request)).verdict).toBe("unchanged");
    expect(space.live()).toBeUndefined();
  });

  it("is what was there before Portolan, when nothing else was accepted yet", async () => {
    const space = await createWorkspace();
    writeFileSync(space.destination, "by hand\n");
    const reload: Target["reload"] = { kind: "command", command: { shell: "exit 1" } };
    await expect(space.install("new\n", { reload })).rejects.toMatchObject({ restored: true });
    expect(space.live()).toBe("by hand\n");
  });

  it.each(["refuses it", "is not there"])(
    "is none that no proxy has taken: it %s, also over a restart",
    async (first) => {
      const space = await createWorkspace();
      const refuses: Target["reload"] = { kind: "command", command: { shell: "exit 3" } };
      const away: Target["reload"] = { kind: "command", command: { argv: ["no-such-program"] } };
      const reload = first === "refuses it" ? refuses : away;
      await expect(space.install("1", { reload })).rejects.toMatchObject({ restored: false });
      const records = await space.reopen();
      for (const text of ["2", "1", "2"]) {
        const refused = space.install(text, { reload: refuses }, { records });
        await expect(refused).rejects.toMatchObject({ left: "open", restored: false });
        expect(space.live()).toBe(text);
      }
      expect(await records.backups.all(space.destination)).toEqual([]);
      expect((await space.install("2", {}, { records })).verdict).toBe("reloaded");
      await expect(space.install("3", { reload: refuses }, { records })).rejects.toMatchObject({
        restored: true,
      });
      expect(space.live()).toBe("2");
    },
  );

  it("stays away when nobody was there to be told", async () => {
    const space = await createWorkspace();
    await space.install("one\n");
    const reload: Target["reload"] = { kind: "command", command: { argv: ["no-such-program"] } };
    await expect(space.install("two\n", { reload })).rejects.toMatchObject({ left: "none", restored: false });
    expect(space.live()).toBe("two\n");
    expect((await space.install("two\n")).verdict).toBe("reloaded");
  });

  it("is one of as many as the target says, and one that was torn is passed over", async () => {
    const space = await createWorkspace();
    for (const text of ["1", "2", "3", "4", "5"]) await space.install(text, { backups: 2 });
    const { backups } = space.records;
    const texts = async () => (await backups.all(space.destination)).map(String);
    expect(await texts()).toEqual(["5", "4", "3"]);
    await space.install("6", { backups: 0 });
    expect(await texts()).toEqual(["6"]);
    for (const text of ["7", "8", "9", "10", "11", "12", "13"]) await space.install(text);
    expect(await texts()).toEqual(["13", "12", "11", "10", "9", "8"]);
    const folder = join(space.folder, "../state/backups");
    const [mine = ""] = readdirSync(folder);
    const newest = readdirSync(join(folder, mine)).sort().at(-1) ?? "";
    writeFileSync(join(folder, mine, newest), "torn");
    expect(String(await backups.last(space.destination))).toBe("12");
  });
});

describe("the owner of a file", () => {
  it("is what the target says, by name or number, also for a live file", async () => {
    const space = await createWorkspace();
    const owner = () => {
      const { uid, gid, mode } = statSync(space.destination);
      return [uid, gid, (mode & 0o7777).toString(8)];
    };
    await space.install("one", { owner: { user: "nobody" } });
    expect(owner()).toEqual([65534, process.getgid?.(), "644"]);
    await space.install("two", { owner: { user: "12", group: "nogroup" }, mode: 0o640 });
    expect(owner()).toEqual([12, 65534, "640"]);
    expect((await space.install("two", { owner: { group: "root" }, mode: 0o4640 })).verdict).toBe(
      "unchanged",
    );
    expect(owner()).toEqual([12, 0, "4640"]);
  });

  it("has to exist", async () => {
    const space = await createWorkspace();
    await expect(space.install("one", { owner: { group: "no-such-group" } })).rejects.toMatchObject({
      code: "DESTINATION",
      message: expect.stringContaining('there is no group "no-such-group" in /etc/group'),
    });
    expect(space.names()).toEqual([]);
  });
});
