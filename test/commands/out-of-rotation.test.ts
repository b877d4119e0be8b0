import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { acknowledged, encodeAcknowledgement } from "../../src/acknowledgement.ts";
import type { HeldNote, Notes } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { takeOutOfRotation } from "../../src/commands/out-of-rotation.ts";
import type { Registered } from "../../src/commands/registered-containers.ts";
import { openRegistry, type Registry } from "../../src/commands/registry.ts";
import type { Settings } from "../../src/config/settings.ts";
import type { Instance, State } from "../../src/instance.ts";
import { container } from "../registrator/build.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, registryFolder } from "./registry-folder.ts";

/** Ends the time that is given to requests in flight where `DRAIN` is 1234 ms, and to notes of an earlier drain. */
let endDrain = () => {};
vi.mock("../../src/clock.ts", async (original) => {
  const clock = await original<typeof import("../../src/clock.ts")>();
  const held = () =>
    new Promise<void>((resolve) => {
      endDrain = resolve;
    });
  return {
    ...clock,
    pause: (ms: number, signal?: AbortSignal) =>
      ms === 1234 || ms === 2000 ? held() : clock.pause(ms, signal),
  };
});

const soon = { within: 10_000 };
const never = new AbortController().signal;
const web = (state: State) =>
  instance("web", 80, { state, container: { id: "c1", name: "web-1", image: "web" } });
const admin = (state: State) => ({ ...web(state), id: "host1:web-1:81", service: "admin", port: 81 });

/** A registry with a container of two services in it, and a command that takes that out of rotation. */
async function stage({ timeout = 10_000, force = false, drain = "0" } = {}) {
  const folder = registryFolder(join(tempDir("rotation"), "registry"));
  const backend = await openBackend(folder.url, { env: {} });
  onTestFinished(() => backend.close());
  const put = (state: State) => [web(state), admin(state)].forEach(folder.put);
  put("ready");
  const said: string[] = [];
  const stopping = new AbortController();
  const progress = {
    step: (line: string) => void said.push(line),
    waiting: (line: string | undefined) => void (line !== undefined && said.push(line)),
  };
  const values = { backend: [folder.url], timeout, force, labelPrefix: "SERVICE_" };
  const context = {
    command: "stop",
    env: {},
    settings: { values } as unknown as Settings,
    stop: stopping.signal,
  } as const;
  const notes = backend.notes as (area: "overrides" | "templaters") => Notes;
  const held = new Map<string, HeldNote>();
  let registry: Registry | undefined;
  return {
    put,
    said,
    interrupt: () => stopping.abort(),
    orders: async () => [...(await notes("overrides").list(never)).keys()],
    undrain: () => notes("overrides").remove(web("ready").id, never),
    /** Waits until the command knows. */
    sees: (isSo: (registry: Registry) => boolean) =>
      waitFor("what the command sees", () => registry !== undefined && isSo(registry), soon),
    hears: (line: string) => waitFor(line, () => said.some((one) => one.includes(line)), soon),
    /** What a templater tells that has applied these instances of one service. */
    async tells(name: string, service: string, instances: readonly Instance[]) {
      const reads = { services: new Set([service]), all: false };
      const accepted = { instances: new Map([[service, instances]]), reads, isLeftOut: () => false };
      const note = held.get(name) ?? notes("templaters").hold(name, 60);
      held.set(name, note);
      await note.renew(encodeAcknowledgement(acknowledged("lb", "", [{ reads, accepted }])), never);
    },
    write: (name: string, text: string) => notes("templaters").put(name, text, never),
    async run(): Promise<string> {
      registry = await openRegistry(context, progress);
      onTestFinished(registry.close);
      const labels = { SERVICE_DRAIN: drain };
      const one: Registered = {
        container: container({ id: "c1", name: "web-1", labels }),
        instances: registry.instances(),
      };
      return takeOutOfRotation([one], { context, registry, progress }).then(
        () => "done",
        (error: Error) => error.message,
      );
    },
  };
}

it("waits for every templater that reads one of the services, and for no other", async () => {
  const { put, said, tells, hears, orders, run } = await stage();
  await tells("lb:web", "web", [web("ready")]);
  await tells("lb:admin", "admin", [admin("ready")]);
  await tells("lb:other", "db", []);
  const done = run();
  await hears("waits until web-1 drains");
  expect(await orders()).toEqual(["host1:web-1:80", "host1:web-1:81"]);
  put("draining");
  await hears("waits for lb:admin, lb:web to apply that web-1 drains");
  await tells("lb:web", "web", [web("draining")]);
  await hears("waits for lb:admin to apply that web-1 drains");
  await tells("lb:admin", "admin", []);
  await tells("lb:admin", "admin", [admin("draining")]);
  expect(await done).toBe("done");
  expect(said.at(-1)).toBe("web-1: out of rotation, applied by lb:admin, lb:web");
});

it("waits for a templater that has begun to read while requests had their time", async () => {
  const { put, tells, hears, sees, run } = await stage({ drain: "1234ms" });
  put("draining");
  const done = run();
  await hears("no templater reads admin, web: nobody has to apply it");
  await hears("gives requests in flight 1.234 s");
  await tells("lb:late", "web", [web("ready")]);
  await sees((registry) => registry.templaters().length > 0);
  endDrain();
  await hears("waits for lb:late to apply that web-1 drains");
  await tells("lb:late", "web", [web("draining")]);
  expect(await done).toBe("done");
});

it("does not believe a note of an earlier drain, also where requests have no time", async () => {
  const { put, tells, hears, sees, run } = await stage();
  await tells("lb:web", "web", [web("draining")]);
  const done = run();
  await hears("waits until web-1 drains");
  put("draining");
  await hears("gives requests in flight 2 s");
  await tells("lb:web", "web", [web("ready")]);
  await sees((registry) => registry.templaters()[0]?.note?.applied.get("web")?.draining.length === 0);
  endDrain();
  await hears("waits for lb:web to apply that web-1 drains");
  await tells("lb:web", "web", [web("draining")]);
  expect(await done).toBe("done");
});

it("does not go on where somebody has undrained it", async () => {
  const { put, hears, sees, orders, undrain, run } = await stage({ drain: "1234ms", timeout: 500 });
  put("draining");
  const done = run();
  await hears("gives requests in flight");
  await undrain();
  put("ready");
  await sees((registry) => registry.instances().every(({ state }) => state === "ready"));
  endDrain();
  expect(await done).toBe(
    "the registrator of host1 has not shown web-1 as draining within 0.5 s; look whether it runs and is in sync, and whether somebody has undrained it",
  );
  expect(await orders()).toEqual([]);
});

it("takes the orders back where the registrator is away, unless it is forced", async () => {
  const given = await stage({ timeout: 200 });
  expect(await given.run()).toContain(
    "the registrator of host1 has not shown web-1 as draining within 0.2 s",
  );
  expect(given.said.at(-1)).toBe("web-1: takes the drain back");
  expect(await given.orders()).toEqual([]);
  const forced = await stage({ timeout: 200, force: true });
  expect(await forced.run()).toBe("done");
  expect(forced.said).toContain(
    "the registrator of host1 has not shown web-1 as draining within 0.2 s; going on, for --force is given",
  );
});

it("waits for a templater whose note it cannot read", async () => {
  const { put, write, run } = await stage({ timeout: 200 });
  put("draining");
  await write("lb:newer", '{"version":2}');
  expect(await run()).toBe(
    "not applied by lb:newer within 0.2 s; its /status says why; --force does not wait for it any longer",
  );
});

it("takes the orders back at an interrupt, also while requests have their time", async () => {
  const { put, said, hears, orders, interrupt, run } = await stage({ drain: "1h" });
  put("draining");
  const done = run();
  // The longest time that is given.
  await hears("gives requests in flight 600 s");
  interrupt();
  expect(await done).toBe("interrupted");
  expect(said.at(-1)).toBe("web-1: takes the drain back");
  expect(await orders()).toEqual([]);
});
