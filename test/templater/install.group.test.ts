import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { install } from "../../src/templater/install.ts";
import type { Target } from "../../src/templater/target.ts";
import { calm, createWorkspace, mount } from "./workspace.ts";

/** A group of three files in folders of their own, and a reload that counts and copies what it sees. */
async function createGroup(reload?: Target["reload"]) {
  const space = await createWorkspace("a.cfg");
  const seen = join(space.folder, "../seen");
  const paths = ["a", "b", "c"].map((name) => join(space.folder, name, `${name}.cfg`));
  for (const name of ["a", "b", "c"]) mkdirSync(join(space.folder, name));
  const all = paths.join(" ");
  const command = { shell: `cat ${all} | tr -d '\\n' >> ${seen}; echo >> ${seen}` };
  const group = (texts: readonly string[], changes: (index: number) => Partial<Target> = () => ({})) =>
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

describe("the last good file", () => {
  it("is what was there before Portolan, when nothing else was accepted yet", async () => {
    const space = await createWorkspace();
    writeFileSync(space.destination, "by hand\n");
    const reload: Target["reload"] = { kind: "command", command: { shell: "exit 1" } };
    await expect(space.install("new\n", { reload })).rejects.toMatchObject({ restored: true });
    expect(space.live()).toBe("by hand\n");
  });

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
