import { constants } from "node:os";
import type { ContainerInfo } from "dockerode";
import { after, backoff, deadline, monotonic, pause } from "../clock.ts";
import { coded } from "../errors.ts";
import { createCell, type Source } from "../source.ts";
import { type Container, isRunning, toContainer } from "./container.ts";
import { connectDocker, type DockerClient, type DockerEvent } from "./docker-client.ts";

/** What runs on one Docker: its running containers by id, oldest first. */
export interface Engine {
  /** Docker's own id. */
  readonly id: string;
  readonly hostname: string;
  readonly apiVersion: string;
  readonly containers: ReadonlyMap<string, Container>;
}

/** How Docker is observed. */
export interface DockerOptions {
  readonly url: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** ms between two full lists, which catch lost events. */
  readonly resync: number;
  /** Which environment variables of a container may be kept. */
  readable(name: string): boolean;
  /** ms after which a container that survived its stop signal counts as not stopping any more. */
  stoppingFor(container: Container): number;
}

/** Inspects in flight at once. */
const parallel = 16;
/** Seconds of events that are read back at the first connect, for the stop signals among them. */
const readBack = 60;

/**
 * Watches one Docker for ever. Each connection subscribes first and lists second, then re-reads just the
 * containers that an event touched; a broken or silent connection keeps the last value, with a problem.
 */
export function observeDocker(options: DockerOptions): Source<Engine> {
  const cell = createCell<Engine>();
  const closing = new AbortController();
  /** The last signal that each container got, and when on the monotonic clock. */
  const signalled = new Map<string, { readonly at: number; readonly number: number }>();
  let lastEvent: number | undefined;
  let relist = () => {};

  /** One connection, until it breaks. */
  const session = async (outer: AbortSignal) => {
    const ending = new AbortController();
    const forward = () => ending.abort(outer.reason);
    outer.addEventListener("abort", forward, { once: true });
    const signal = ending.signal;
    const client = await connectDocker(options.url, options.env, signal);
    const events = await client.events(lastEvent ?? client.now - readBack, signal);
    const known = new Map<string, Container>();
    const inspects = createInspects(client, signal);
    let listed = false;

    const publish = () => {
      if (!listed || signal.aborted) return;
      const before = cell.current();
      const previous = before.known ? before.value.containers : undefined;
      const containers = sortAndShare(known, previous);
      if (before.known && before.value.id === client.engine && containers === previous) {
        return cell.set(before.value);
      }
      const { engine: id, hostname, apiVersion } = client;
      cell.set({ id, hostname, apiVersion, containers });
    };
    const mark = (container: Container): Container => {
      const last = signalled.get(container.id);
      if (!last || !isStopSignal(last.number, container.stopSignal)) return container;
      return { ...container, stopping: last.at + options.stoppingFor(container) > monotonic() };
    };
    const touch = async (id: string) => {
      const inspected = await inspects.run(id);
      if (inspected === "superseded") return;
      if (inspected && isRunning(inspected)) {
        const container = mark(toContainer(inspected, options.readable));
        known.set(id, container);
      } else {
        known.delete(id);
        signalled.delete(id);
      }
      publish();
    };
    const list = async () => {
      const running = new Map((await client.list(signal)).map((entry) => [entry.Id, entry]));
      const due = [...running.values()].filter((entry) => {
        const container = known.get(entry.Id);
        return !container || !agrees(container, entry);
      });
      const gone = [...known.keys()].filter((id) => !running.has(id));
      await Promise.all([...due.map((entry) => entry.Id), ...gone].map(touch));
      listed = true;
      publish();
    };
    const onEvent = (event: DockerEvent) => {
      lastEvent = Math.max(lastEvent ?? 0, event.time);
      const touched = event.type === "network" ? event.attributes.container : event.id;
      if (touched === undefined || event.action.startsWith("exec_") || event.action === "top") return;
      if (event.action === "start" || event.action === "die") signalled.delete(touched);
      if (event.action === "kill") {
        const number = Number(event.attributes.signal);
        const at = monotonic() - Math.max(0, client.now - event.time) * 1000;
        const container = known.get(touched);
        // A later signal of another kind, e.g. a SIGHUP during a stop, does not end the stop.
        if (container && !isStopSignal(number, container.stopSignal)) return;
        signalled.set(touched, { at, number });
        // Published without asking Docker again: the signal itself is the news, and it is urgent.
        if (container) {
          known.set(touched, mark(container));
          publish();
          after(options.stoppingFor(container), () => void guard(touch(touched)));
        }
        return;
      }
      void guard(touch(touched));
    };
    /** Ends the session when one of its parts fails, so that the next one starts from a full list. */
    const guard = (work: Promise<void>) => work.catch((error: unknown) => ending.abort(error));

    const reading = (async () => {
      for await (const event of events) onEvent(event);
      throw new Error("the event stream ended");
    })();
    const relisting = (async () => {
      for (;;) {
        await list();
        const waiting = new AbortController();
        relist = () => waiting.abort();
        await pause(
          options.resync * (0.9 + Math.random() * 0.2),
          deadline(options.resync * 2, signal, waiting.signal),
        );
        signal.throwIfAborted();
      }
    })();
    try {
      await Promise.race([
        reading,
        relisting,
        new Promise<never>((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        ),
      ]);
    } finally {
      ending.abort();
      outer.removeEventListener("abort", forward);
      await Promise.allSettled([reading, relisting]);
    }
  };

  const ended = (async () => {
    for (let attempt = 0; !closing.signal.aborted; attempt += 1) {
      const before = cell.current();
      try {
        await session(closing.signal);
      } catch (error) {
        if (closing.signal.aborted) return;
        const problem = coded("DOCKER_UNREACHABLE", error, `Docker at ${options.url}: `);
        cell.fail({ kind: problem.code === "DOCKER_DENIED" ? "denied" : "unreachable", error: problem });
      }
      // A session that came to a value was a good one: the next failure is a new one.
      if (cell.current() !== before && !before.problem) attempt = 0;
      await pause(backoff(attempt), closing.signal);
    }
  })();

  return {
    current: cell.current,
    subscribe: cell.subscribe,
    refresh: () => relist(),
    async close() {
      closing.abort();
      await ended;
    },
  };
}

/**
 * Inspects at most `parallel` containers at once and each one by one; of several wishes for a container
 * only the latest is answered, the ones before are "superseded".
 */
function createInspects(client: DockerClient, signal: AbortSignal) {
  const wishes = new Map<string, number>();
  const busy = new Map<string, Promise<unknown>>();
  const waiting: (() => void)[] = [];
  let free = parallel;

  const slot = async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };

  return {
    async run(id: string): Promise<Awaited<ReturnType<DockerClient["inspect"]>> | "superseded"> {
      const wish = (wishes.get(id) ?? 0) + 1;
      wishes.set(id, wish);
      while (busy.has(id)) await busy.get(id)?.catch(() => {});
      if (wishes.get(id) !== wish) return "superseded";
      const work = slot(() => client.inspect(id, signal));
      busy.set(id, work);
      try {
        const inspected = await work;
        if (wishes.get(id) !== wish) return "superseded";
        wishes.delete(id);
        return inspected;
      } finally {
        busy.delete(id);
      }
    },
  };
}

/** True when the list, which costs one call for all, shows nothing that the known container does not. */
function agrees(container: Container, entry: ContainerInfo): boolean {
  const health = /\((?:health: )?(starting|healthy|unhealthy)\)/.exec(entry.Status)?.[1] ?? "none";
  const networks = Object.entries(entry.NetworkSettings?.Networks ?? {});
  return (
    entry.Names.includes(`/${container.name}`) &&
    (entry.State === "paused") === container.paused &&
    entry.State !== "restarting" &&
    health === container.health &&
    networks.length === container.networks.length &&
    container.networks.every((network) =>
      networks.some(([name, end]) => name === network.name && (end.IPAddress ?? "") === network.ipv4),
    )
  );
}

/** Oldest first. The very map of before when it holds the same containers. */
function sortAndShare(
  known: ReadonlyMap<string, Container>,
  previous: ReadonlyMap<string, Container> | undefined,
): ReadonlyMap<string, Container> {
  const entries = [...known].map(([id, container]): [string, Container] => {
    const before = previous?.get(id);
    return [id, before && JSON.stringify(before) === JSON.stringify(container) ? before : container];
  });
  const same = previous?.size === entries.length && entries.every(([id, c]) => previous.get(id) === c);
  if (previous && same) return previous;
  entries.sort(([idA, a], [idB, b]) =>
    a.created < b.created ? -1 : a.created > b.created ? 1 : idA < idB ? -1 : 1,
  );
  return new Map(entries);
}

/** True when `number` is the container's stop signal, or one that nothing survives. */
function isStopSignal(number: number, stopSignal: string): boolean {
  if (number === constants.signals.SIGKILL) return true;
  const name = stopSignal.startsWith("SIG") ? stopSignal : `SIG${stopSignal}`;
  const expected = (constants.signals as Readonly<Record<string, number>>)[name] ?? Number(stopSignal);
  return number === expected;
}
