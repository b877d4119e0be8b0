// Guards on the real stores: what a templater's file shows while the registrators are away.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, type TestContext } from "vitest";
import { type Backend, type Lease, ownerText } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Daemon } from "../../src/daemon.ts";
import type { Fields, Log } from "../../src/log.ts";
import { openStateDir } from "../../src/state-dir.ts";
import type { GuardSettings } from "../../src/templater/guard-settings.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { instance } from "../commands/registry-folder.ts";
import { type Registry, type StoreName, startRegistry, storeNames } from "../e2e/registries.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const never = new AbortController().signal;
const soon = { within: 30_000 };

/** Seconds: the shortest that each store grants. */
const ttls: Readonly<Record<StoreName, number>> = { consul: 2, etcd: 2, zookeeper: 4, file: 1 };

/** A host whose registrator beats until it is killed. */
async function startHost(context: TestContext, backend: Backend, node: string, ttl: number) {
  const owner = { node, engine: "ENGINE", run: "r" };
  const lease: Lease = backend.lease(owner, ttl);
  await lease.renew(never);
  const one = (port: number) =>
    instance("web", port, { id: `${node}:web:${port}`, node, owner: ownerText(owner) });
  const ports = new Set<number>();
  let beating = true;
  const beats = (async () => {
    while (beating) {
      await new Promise((resolve) => setTimeout(resolve, (ttl * 1000) / 4));
      if (!beating) continue;
      const beat = await lease.renew(never).catch(() => undefined);
      if (beat?.fresh) for (const port of ports) await lease.register(one(port), never).catch(() => {});
    }
  })();
  const die = async () => {
    beating = false;
    await beats;
  };
  context.onTestFinished(die);
  return {
    die,
    put(port: number) {
      ports.add(port);
      return lease.register(one(port), never);
    },
    remove: (port: number) => lease.deregister(one(port), never),
    /** Takes the lease again and registers, as often as it takes. */
    comeBack: (port: number) =>
      waitFor(
        "the registration",
        async () => {
          await lease.renew(never);
          await lease.register(one(port), never);
          return true;
        },
        soon,
      ),
  };
}

/** A templater whose file lists the ports of `web`, and everything that stood there. */
function createTemplater(context: TestContext, url: string) {
  const dir = tempDir("guard");
  const source = join(dir, "out.txt.hbs");
  const destination = join(dir, "out.txt");
  writeFileSync(source, '{{#each (service "web")}}{{port}} {{/each}}');
  const texts: string[] = [];
  const logged: (Fields & { message: string })[] = [];
  const note = (fields: Fields, message: string) => void logged.push({ ...fields, message });
  const log: Log = { debug: () => {}, info: note, warn: note, error: note };
  const live = () => (existsSync(destination) ? readFileSync(destination, "utf8") : undefined);

  return {
    texts,
    logged,
    live,
    async start(guard: Partial<GuardSettings> = {}) {
      const backend = await openBackend(url, { env: {} });
      const state = await openStateDir(join(dir, "state"));
      const target = {
        source,
        destination,
        guard,
        reload: {
          kind: "command",
          command: {
            shell: `cat "$PORTOLAN_DESTINATION" >> ${join(dir, "all")}; echo >> ${join(dir, "all")}`,
          },
        },
        commandTimeout: 10_000,
        wait: { min: 5, max: 100 },
        minInterval: 0,
      } as const;
      const daemon: Daemon = startTemplater({
        backend,
        targets: [target],
        state,
        env: process.env,
        node: "lb",
        log,
      });
      const stop = async () => {
        await daemon.stop();
        await backend.close();
        await state.close();
      };
      context.onTestFinished(stop);
      return { daemon, stop };
    },
    /** Every text that was applied, in order. */
    applied: () =>
      readFileSync(join(dir, "all"), "utf8")
        .trim()
        .split("\n")
        .map((line) => line.trim()),
    shows: (text: string) => waitFor(`the file to be "${text}"`, () => live()?.trim() === text, soon),
  };
}

async function open(context: TestContext, registry: Registry): Promise<Backend> {
  const backend = await openBackend(registry.url, { env: {} });
  context.onTestFinished(() => backend.close());
  return backend;
}

// They mostly wait: one test at a time on each store, all stores at once.
describe.concurrent.each(storeNames)("%s", (name) => {
  const ttl = ttls[name];
  const start = async (context: TestContext) => {
    const registry = await startRegistry(name);
    context.onTestFinished(() => registry.stop());
    return registry;
  };

  it.sequential("T3: all leases that expire while the registrators are away shrink nothing before the hold is over", async (context) => {
    const registry = await start(context);
    const [a, b] = [
      await startHost(context, await open(context, registry), "a", ttl),
      await startHost(context, await open(context, registry), "b", ttl),
    ];
    await a.put(1);
    await b.put(2);
    const lb = createTemplater(context, registry.url);
    const { daemon } = await lb.start({ hold: 20_000, maxDrop: 0 });
    await lb.shows("1 2");
    await Promise.all([a.die(), b.die()]);
    await waitFor("the hold", () => daemon.notReady().some((why) => why.includes("held")), {
      within: 60_000,
    });
    expect(lb.live()).toBe("1 2 ");
    expect(daemon.status()).toMatchObject({ targets: [{ held: [{ service: "web" }] }] });
    await a.comeBack(1);
    await b.comeBack(2);
    await waitFor("readiness", () => daemon.notReady().length === 0, soon);
    expect(lb.applied()).toEqual(["1 2"]);
  });

  it.sequential("T3: a host that died is gone after the hold", async (context) => {
    const registry = await start(context);
    const a = await startHost(context, await open(context, registry), "a", ttl);
    await a.put(1);
    const lb = createTemplater(context, registry.url);
    const { daemon } = await lb.start({ hold: 1_000 });
    await lb.shows("1");
    await a.die();
    await waitFor("the end", () => lb.live() === "", { within: 60_000 });
    await waitFor("readiness", () => daemon.notReady().length === 0, soon);
    const messages = lb.logged.map(({ message }) => message);
    expect(messages).toContain("held as it was: 1 of 1 ready instances went, and no owner says so");
    expect(messages).toContain("no longer held");
  });

  it.sequential("T3: what a live owner removes is gone at once, down to the last one", async (context) => {
    const registry = await start(context);
    const a = await startHost(context, await open(context, registry), "a", ttl);
    await a.put(1);
    await a.put(2);
    const lb = createTemplater(context, registry.url);
    await lb.start({ hold: 3_600_000 });
    await lb.shows("1 2");
    await a.remove(1);
    await lb.shows("2");
    await a.remove(2);
    await lb.shows("");
    expect(lb.logged.filter(({ message }) => message.includes("held"))).toEqual([]);
  });

  it.sequential("T3: a store that comes back empty shrinks no file while the owners are not back yet", async (context) => {
    const registry = await start(context);
    if (!registry.wipe) return context.skip("a folder has no server that could start anew");
    const [a, b] = [
      await startHost(context, await open(context, registry), "a", ttl),
      await startHost(context, await open(context, registry), "b", ttl),
    ];
    await a.put(1);
    await b.put(2);
    const lb = createTemplater(context, registry.url);
    const { daemon, stop } = await lb.start({ hold: 60_000, maxDrop: 0 });
    await lb.shows("1 2");
    await Promise.all([a.die(), b.die()]);
    await registry.wipe();
    const held = () => daemon.notReady().some((why) => why.includes("held as it was"));
    await waitFor("the hold", held, { within: 60_000 });
    // Also for a templater that is started now.
    await stop();
    const next = await lb.start({ hold: 60_000, maxDrop: 0 });
    const isHeld = () => next.daemon.notReady().some((why) => why.includes("held as it was"));
    await waitFor("the hold of the next", isHeld, { within: 60_000 });
    await a.comeBack(1);
    await b.comeBack(2);
    await waitFor("readiness", () => next.daemon.notReady().length === 0, soon);
    expect(lb.applied()).toEqual(["1 2"]);
  });

  it.sequential("T3: a store that comes back empty is full again before a file shrinks", async (context) => {
    const registry = await start(context);
    if (!registry.wipe) return context.skip("a folder has no server that could start anew");
    const a = await startHost(context, await open(context, registry), "a", ttl);
    await a.put(1);
    await a.put(2);
    const lb = createTemplater(context, registry.url);
    const { daemon } = await lb.start();
    await lb.shows("1 2");
    await registry.wipe();
    await waitFor("the registration", async () => Boolean(await a.put(3)), soon);
    await lb.shows("1 2 3");
    await waitFor("the reload", () => lb.applied().at(-1) === "1 2 3", soon);
    await waitFor("readiness", () => daemon.notReady().length === 0, soon);
    expect(lb.applied()).toEqual(["1 2", "1 2 3"]);
  });

  it.sequential("T3, B1: a templater that starts while the store is away goes on with the last good snapshot", async (context) => {
    const registry = await start(context);
    const a = await startHost(context, await open(context, registry), "a", ttl);
    await a.put(1);
    const lb = createTemplater(context, registry.url);
    const { stop } = await lb.start();
    await lb.shows("1");
    await stop();
    if (name === "file") return context.skip("a folder is not away");
    await a.die();
    await registry.stop();
    const { daemon } = await lb.start();
    await waitFor("the last good one", () => lb.logged.some(({ message }) => message.includes("last good")), {
      within: 60_000,
    });
    await waitFor("the render", () => daemon.status().targets?.[0]?.reason === undefined, soon);
    expect(lb.live()).toBe("1 ");
    const status = daemon.status();
    expect(status.staleSeconds).toBeGreaterThanOrEqual(0);
    expect(status.targets?.[0]?.lastGoodOf).toMatch(/^\d{4}-/);
    expect(daemon.notReady()).not.toEqual([]);
  });
});
