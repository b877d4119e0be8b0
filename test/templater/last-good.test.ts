import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLastGood } from "../../src/templater/last-good.ts";
import { tempDir } from "../servers/run.ts";
import { instance, snapshotOf } from "./golden/world.ts";

const destinations = ["/etc/proxy.cfg"];
const db = instance({ service: "db", meta: { a: "1" }, role: "master", claim: { by: "redis", epoch: "3" } });

describe("the last good snapshot", () => {
  const opened = () => {
    const path = tempDir("last-good");
    const folder = join(path, "last-good");
    return {
      path,
      open: () => openLastGood({ path }, destinations),
      file: () => join(folder, readdirSync(folder)[0] ?? ""),
    };
  };

  it("is there for the next process, whole", async () => {
    const { open } = opened();
    expect(await open().read()).toBeUndefined();
    const snapshot = snapshotOf([db, instance()]);
    await open().keep(snapshot);
    const read = await open().read();
    expect(read?.snapshot).toEqual(snapshot);
    expect(read?.at).toMatch(/^\d{4}-/);
  });

  it("is another one for other destinations", async () => {
    const { open, path } = opened();
    await open().keep(snapshotOf([db]));
    expect(await openLastGood({ path }, ["/etc/other.cfg"]).read()).toBeUndefined();
  });

  it("costs what has changed: a service that changed, came or went, and whether it is complete", async () => {
    const { open, file } = opened();
    const kept = open();
    const first = snapshotOf([db, instance()]);
    await kept.keep(first);
    const size = readFileSync(file()).length;
    const services = new Map(first.services).set("web", [instance({ port: 81 })]);
    await kept.keep({ ...first, services });
    const added = readFileSync(file(), "utf8").slice(size);
    expect(added).toContain('"port":81');
    expect(added).not.toContain("redis");
    const last = snapshotOf([instance({ port: 82 }), instance({ service: "new" })]);
    await kept.keep(last);
    expect((await open().read())?.snapshot).toEqual(last);
    const partial = { ...last, complete: false };
    await kept.keep(partial);
    expect((await open().read())?.snapshot).toEqual(partial);
  });

  it("keeps the keys that are read, and nothing of those that are not read any more", async () => {
    const { open, file } = opened();
    const kept = open();
    const snapshot = snapshotOf([instance()]);
    const tree = new Map([["b/c", "2"]]);
    const keys = {
      keys: new Map([
        ["a", "s3cret"],
        ["none", undefined],
      ]),
      trees: new Map([["t", tree]]),
    };
    await kept.keep(snapshot, keys);
    expect(await open().read()).toMatchObject({ snapshot, keys });
    const size = readFileSync(file()).length;
    await kept.keep(snapshot, { ...keys, keys: new Map(keys.keys).set("none", "now") });
    expect(readFileSync(file(), "utf8").slice(size)).toBe('{"key":"none","value":"now"}\n');
    await kept.keep(snapshot, { keys: new Map(), trees: keys.trees });
    expect((await open().read())?.keys).toEqual({ keys: new Map(), trees: keys.trees });
    expect(readFileSync(file(), "utf8")).not.toContain("s3cret");
    await kept.keep(snapshot);
    expect((await open().read())?.keys).toBeUndefined();
  });

  it("does not grow without end", async () => {
    const { open, file } = opened();
    const kept = open();
    for (let port = 1; port <= 3000; port++) await kept.keep(snapshotOf([instance({ port })]));
    expect(readFileSync(file(), "utf8").split("\n").length).toBeLessThan(1_100);
    expect((await open().read())?.snapshot.services.get("web")).toEqual([instance({ port: 3000 })]);
  });

  it("survives a torn line, and is nothing when nothing of it can be read", async () => {
    const { open, file } = opened();
    const snapshot = snapshotOf([instance()]);
    await open().keep(snapshot);
    appendFileSync(file(), '{"service":"web","instances":[{"id":"h1');
    expect((await open().read())?.snapshot).toEqual(snapshot);
    writeFileSync(file(), "\0\0\0");
    expect(await open().read()).toBeUndefined();
    await open().keep(snapshot);
    expect((await open().read())?.snapshot).toEqual(snapshot);
  });

  it("is written anew after a write that failed", async () => {
    const { open, file, path } = opened();
    const kept = open();
    await kept.keep(snapshotOf([instance(), db]));
    rmSync(file());
    rmSync(join(path, "last-good"), { recursive: true });
    writeFileSync(join(path, "last-good"), "");
    await expect(kept.keep(snapshotOf([db]))).rejects.toMatchObject({ code: "FAILED" });
    rmSync(join(path, "last-good"));
    await kept.keep(snapshotOf([instance(), db]));
    expect((await open().read())?.snapshot.services.size).toBe(2);
  });
});
