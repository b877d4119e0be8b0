import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  type Backend,
  instancesOf,
  type Lease,
  type Observation,
  ownerText,
} from "../../src/backends/backend.ts";
import { openFile } from "../../src/backends/file/file.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { encodeInstance } from "../../src/instance.ts";
import { exec } from "../servers/exec.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";

const signal = new AbortController().signal;
const open = (dir: string): Promise<Backend> => openFile(parseBackendUrl(`file://${dir}`), { env: {} });

contractSuite({
  name: "file:",
  ttl: 3,
  async start() {
    const dir = join(tempDir("file"), "registry");
    return {
      open: () => open(dir),
      // A dead process is one that no longer renews.
      openMortal: async () => ({ backend: await open(dir), die: async () => {} }),
      async plant(instance) {
        const folder = join(dir, "services", instance.service);
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, `${instance.id}.json`), `${encodeInstance(instance)}\n`);
      },
      unclaim: (node) => rm(join(dir, "nodes", node)),
      wipe: () => rm(dir, { recursive: true }),
      // A file stands where a folder should be.
      openUnreachable: () => open("/proc/version/registry"),
      close: async () => {},
    };
  },
});

describe("file:", () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  const newDir = () => join(tempDir("file"), "registry");
  const opened = async (dir: string) => {
    const backend = await open(dir);
    closers.push(() => backend.close());
    return backend;
  };
  const observed = async (dir: string) => (await opened(dir)).observe({ services: "all" });
  const count = (observation: Observation, service: string) => {
    const now = observation.current();
    return now.known ? instancesOf(now.value, service)?.length : undefined;
  };
  const problem = (observation: Observation, kind: "unreachable" | "denied" | undefined) =>
    waitFor(`problem ${kind}`, () => observation.current().problem?.kind === kind || false, {
      within: 20_000,
    });
  const writer = (dir: string, node: string, ttl = 1) => {
    const program = join(import.meta.dirname, "file-writer.ts");
    const child = spawn(process.execPath, ["--import", "tsx", program, `file://${dir}`, node, String(ttl)], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const die = () => {
      child.kill("SIGKILL");
      return ended;
    };
    closers.push(die);
    return { die, pause: () => child.kill("SIGSTOP"), resume: () => child.kill("SIGCONT") };
  };

  it("keeps the documented files, and nothing half-written", async () => {
    const dir = newDir();
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "a/b", id: ".x y" });
    await lease.register(instance, signal);
    await lease.register({ ...instance, port: 1 }, signal);
    await lease.renew(signal);
    expect((await readdir(dir, { recursive: true })).sort()).toEqual([
      "nodes",
      `nodes/${owner.node}`,
      "services",
      "services/a%2Fb",
      "services/a%2Fb/%2Ex%20y.json",
    ]);
    const record = await readFile(join(dir, "services/a%2Fb/%2Ex%20y.json"), "utf8");
    expect(record).toBe(`${encodeInstance({ ...instance, port: 1 })}\n`);
    expect(JSON.parse(await readFile(join(dir, "nodes", owner.node), "utf8"))).toEqual({
      owner: ownerText(owner),
      run: owner.run,
      ttl: 30,
      beat: expect.any(Number) as number,
    });
    expect((await stat(dir)).mode & 0o777).toBe(0o755);
    await lease.release(signal);
    expect(await readdir(join(dir, "nodes"))).toEqual([]);
    expect(await readdir(join(dir, "services/a%2Fb"))).toEqual([]);
  });

  it("reads nothing but whole records while another process rewrites one without a pause", async () => {
    const dir = newDir();
    const observation = await observed(dir);
    await eventually(observation, () => true);
    const wrong: unknown[] = [];
    const ports = new Set<number>();
    observation.subscribe(() => {
      const now = observation.current();
      if (!now.known) return;
      if (now.value.invalid.size > 0 || now.problem) wrong.push(now);
      for (const instance of instancesOf(now.value, "web") ?? []) {
        ports.add(instance.port);
        if (instance.tags[0]?.length !== instance.port % 3000) wrong.push(instance);
      }
      if (ports.size > 0 && instancesOf(now.value, "web")?.length !== 1) wrong.push("a gap");
    });
    writer(dir, "writing");
    await waitFor("100 versions of the record", () => ports.size >= 100, { within: 60_000 });
    expect(wrong).toEqual([]);
  });

  it("hides the records of a silent owner, and shows them again when it beats again", async () => {
    const dir = newDir();
    const child = writer(dir, "silent");
    const observation = await observed(dir);
    await eventually(observation, (s) => instancesOf(s, "web")?.length === 1, 60_000);
    child.pause();
    await eventually(observation, (s) => instancesOf(s, "web")?.length === 0, 60_000);
    // It may have been stopped in the middle of a write.
    const whole = (await readdir(join(dir, "services/web"))).filter((name) => !name.startsWith("."));
    expect(whole).toHaveLength(1);
    child.resume();
    await eventually(observation, (s) => instancesOf(s, "web")?.length === 1, 10_000);
    await child.die();
    await eventually(observation, (s) => instancesOf(s, "web")?.length === 0, 60_000);
  });

  it("believes a dead owner for one time to live when it starts later", async () => {
    const dir = newDir();
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 1);
    await lease.renew(signal);
    await lease.register(someInstance(owner, { service: "late" }), signal);
    const first = await observed(dir);
    await eventually(first, (s) => instancesOf(s, "late")?.length === 1);
    await eventually(first, (s) => instancesOf(s, "late")?.length === 0, 60_000);
    const begun = performance.now();
    const second = await observed(dir);
    await eventually(second, (s) => instancesOf(s, "late")?.length === 1);
    await eventually(second, (s) => instancesOf(s, "late")?.length === 0, 60_000);
    expect(performance.now() - begun).toBeGreaterThan(990);
    // The owner's heartbeat file missing is as good as silent, and shows at once.
    await lease.renew(signal);
    await eventually(second, (s) => instancesOf(s, "late")?.length === 1, 10_000);
    await rm(join(dir, "nodes", owner.node));
    await eventually(second, (s) => instancesOf(s, "late")?.length === 0, 10_000);
    await expect(lease.register(someInstance(owner), signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    await eventually(second, (s) => instancesOf(s, "late")?.length === 1, 10_000);
  });

  it("gives a node to another engine once the first was seen silent for its time to live", async () => {
    const dir = newDir();
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 1);
    await lease.renew(signal);
    const record = someInstance(owner, { service: "inherited" });
    await lease.register(record, signal);
    const heir = { ...owner, engine: "HEIR" };
    const next = (await opened(dir)).lease(heir, 1);
    await expect(next.renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
    await lease.renew(signal);
    await expect(next.renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
    await waitFor("the heir's turn", () => next.renew(signal), { within: 60_000, every: 100 });
    // The ids are the same ones as before, and what the first left is gone.
    expect(await readdir(join(dir, "services/inherited"))).toEqual([]);
    await next.register({ ...record, owner: ownerText(heir) }, signal);
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
    await next.release(signal);
  });

  it("lets a run that was replaced return only when its successor is silent", async () => {
    const dir = newDir();
    const owner = someOwner();
    const backend = await opened(dir);
    const lease = backend.lease(owner, 1);
    await lease.renew(signal);
    await backend.lease({ ...owner, run: "next" }, 1).renew(signal);
    await expect(lease.register(someInstance(owner), signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
    const back = await waitFor("its return", () => lease.renew(signal), { within: 60_000, every: 100 });
    expect(back.fresh).toBe(true);
  });

  it("removes what an earlier run left half-written", async () => {
    const dir = newDir();
    const owner = someOwner();
    await mkdir(join(dir, "services/web"), { recursive: true });
    await writeFile(join(dir, `services/web/.tmp,${owner.node},abc`), "{");
    await writeFile(join(dir, `services/web/.tmp,${owner.node}-other,abc`), "{");
    const lease = (await opened(dir)).lease(owner, 1);
    await lease.renew(signal);
    expect(await readdir(join(dir, "services/web"))).toEqual([`.tmp,${owner.node}-other,abc`]);
  });

  it("makes no folder for who only looks: one that is missing is an outage, until a registrator makes it", async () => {
    const dir = newDir();
    const looking = await openFile(parseBackendUrl(`file://${dir}`), { env: {}, onlyLooks: true });
    closers.push(() => looking.close());
    const observation = looking.observe({ services: "all" });
    await problem(observation, "unreachable");
    expect(observation.current().known).toBe(false);
    expect(existsSync(dir)).toBe(false);
    await (await opened(dir)).lease(someOwner(), 30).renew(signal);
    await eventually(observation, () => true, 10_000);
    await problem(observation, undefined);
  });

  it("keeps what it knows when its folder vanishes, until a registrator makes it again", async () => {
    const dir = newDir();
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "kept" });
    await lease.register(instance, signal);
    const observation = await observed(dir);
    await eventually(observation, (s) => instancesOf(s, "kept")?.length === 1);
    await rename(dir, `${dir}-away`);
    await problem(observation, "unreachable");
    observation.want({ services: new Set(["kept", "again"]) });
    expect(count(observation, "kept")).toBe(1);
    await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    await lease.register({ ...instance, service: "again" }, signal);
    await eventually(observation, (s) => instancesOf(s, "again")?.length === 1, 10_000);
    expect(count(observation, "kept")).toBe(0);
    await problem(observation, undefined);
    // The watch follows the new folder, not the one that was moved away.
    await lease.register({ ...instance, service: "again", port: 7 }, signal);
    await eventually(observation, (s) => instancesOf(s, "again")?.[0]?.port === 7, 10_000);
  });

  describe("on a disk of its own", () => {
    /** A small disk with a registry on it; undefined where this process may not mount one. */
    const mounted = async (skip: (why: string) => never) => {
      const disk = tempDir("file-disk");
      await exec("mount", ["-t", "tmpfs", "-o", "size=256k", "portolan-test", disk]).catch(() =>
        skip("only root can mount a disk"),
      );
      closers.push(() => exec("umount", ["-l", disk]));
      return { disk, dir: join(disk, "registry") };
    };
    const beating = (lease: Lease) => {
      const timer = setInterval(() => void lease.renew(signal).catch(() => {}), 200);
      closers.push(async () => clearInterval(timer));
    };

    it("takes a read-only folder for an outage: whoever cannot beat there is not dead", async ({ skip }) => {
      const { disk, dir } = await mounted(skip);
      const owner = someOwner();
      const lease = (await opened(dir)).lease(owner, 1);
      await lease.renew(signal);
      const instance = someInstance(owner, { service: "frozen" });
      await lease.register(instance, signal);
      beating(lease);
      const observation = await observed(dir);
      await eventually(observation, (s) => instancesOf(s, "frozen")?.length === 1);
      const sizes = new Set<number | undefined>();
      observation.subscribe(() => sizes.add(count(observation, "frozen")));
      await exec("mount", ["-o", "remount,ro", disk]);
      await expect(lease.register({ ...instance, port: 1 }, signal)).rejects.toMatchObject({
        code: "BACKEND_DENIED",
      });
      await problem(observation, "unreachable");
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      await exec("mount", ["-o", "remount,rw", disk]);
      await problem(observation, undefined);
      await lease.register({ ...instance, port: 2 }, signal);
      await eventually(observation, (s) => instancesOf(s, "frozen")?.[0]?.port === 2);
      expect([...sizes]).toEqual([1]);
    });

    it("takes a full disk for an outage: what does not fit is refused, and what stands is shown", async ({
      skip,
    }) => {
      const { disk, dir } = await mounted(skip);
      const owner = someOwner();
      const lease = (await opened(dir)).lease(owner, 1);
      await lease.renew(signal);
      const instance = someInstance(owner, { service: "full" });
      await lease.register(instance, signal);
      beating(lease);
      const observation = await observed(dir);
      await eventually(observation, (s) => instancesOf(s, "full")?.length === 1);
      const sizes = new Set<number | undefined>();
      observation.subscribe(() => sizes.add(count(observation, "full")));
      await writeFile(join(disk, "ballast"), Buffer.alloc(1_000_000)).catch(() => {});
      const large = { ...instance, id: "large", meta: { much: "x".repeat(20_000) } };
      await expect(lease.register(large, signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      expect(await lease.owned(signal)).toHaveLength(1);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect(count(observation, "full")).toBe(1);
      await rm(join(disk, "ballast"));
      await lease.register(large, signal);
      await eventually(observation, (s) => instancesOf(s, "full")?.length === 2);
      expect([...sizes].filter((size) => size !== 1 && size !== 2)).toEqual([]);
      await problem(observation, undefined);
    });
  });

  it("finds by looking what its watch does not tell of, also while it tells of heartbeats", async ({
    skip,
  }) => {
    const disk = tempDir("file-overlay");
    const [below, above, work, dir] = ["below", "above", "work", "registry"].map((name) =>
      join(disk, name),
    ) as [string, string, string, string];
    await Promise.all([below, above, work, dir].map((folder) => mkdir(folder)));
    const layers = `lowerdir=${below},upperdir=${above},workdir=${work}`;
    await exec("mount", ["-t", "overlay", "-o", layers, "portolan-test", dir]).catch(() =>
      skip("only root can mount an overlay"),
    );
    closers.push(() => exec("umount", ["-l", dir]));
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "quiet", id: "first" });
    await lease.register(instance, signal);
    const observation = await observed(dir);
    await eventually(observation, (s) => instancesOf(s, "quiet")?.length === 1);
    /** Of what is written in a layer, nobody is told who watches the whole. */
    const plant = (id: string) =>
      writeFile(join(above, "services/quiet", `${id}.json`), `${encodeInstance({ ...instance, id })}\n`);
    await plant("second");
    await eventually(observation, (s) => instancesOf(s, "quiet")?.length === 2, 10_000);
    await lease.renew(signal);
    await plant("third");
    await eventually(observation, (s) => instancesOf(s, "quiet")?.length === 3, 100_000);
  });

  it("tells a folder that it may not read from an empty one", async () => {
    const dir = newDir();
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "locked" });
    await lease.register(instance, signal);
    const observation = await observed(dir);
    await eventually(observation, (s) => instancesOf(s, "locked")?.length === 1);
    // Root may read everything; the user "nobody" may not.
    const root = process.geteuid?.() === 0;
    await chmod(dir, root ? 0o700 : 0);
    try {
      if (root) process.seteuid?.(65_534);
      observation.refresh();
      await problem(observation, "denied");
      expect(count(observation, "locked")).toBe(1);
      await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });
      const blind = await observed(dir);
      await problem(blind, "denied");
      expect(blind.current().known).toBe(false);
    } finally {
      if (root) process.seteuid?.(0);
      await chmod(dir, 0o755);
    }
    await problem(observation, undefined);
    await lease.register({ ...instance, port: 9 }, signal);
    await eventually(observation, (s) => instancesOf(s, "locked")?.[0]?.port === 9, 10_000);
  });

  it("reports an unreadable record and shows its siblings", async () => {
    const dir = newDir();
    const owner = someOwner();
    const lease = (await opened(dir)).lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "mixed" });
    await lease.register(instance, signal);
    await writeFile(join(dir, "services/mixed/broken.json"), "{");
    await writeFile(join(dir, "services/stray"), "not a folder");
    const observation = await observed(dir);
    const snapshot = await eventually(observation, (s) => s.invalid.size === 1);
    expect(instancesOf(snapshot, "mixed")).toHaveLength(1);
    await lease.register({ ...instance, id: "broken" }, signal);
    await eventually(
      observation,
      (s) => s.invalid.size === 0 && instancesOf(s, "mixed")?.length === 2,
      10_000,
    );
  });

  it("refuses a URL that names no absolute path", async () => {
    for (const url of ["file:relative", "file://host/path", "file:///", "file:///x?layout=curator"]) {
      await expect(openFile(parseBackendUrl(url), { env: {} })).rejects.toMatchObject({
        code: "BACKEND_URL",
      });
    }
  });
});
