import { constants } from "node:os";
import type { ContainerInfo } from "dockerode";
import { after, backoff, monotonic, pause } from "../clock.ts";
import { coded } from "../errors.ts";
import { compare } from "../instance.ts";
import { createCell, type Source } from "../source.ts";
import type { Container } from "./container.ts";
import { connectDocker, type DockerEvent, UnreadError } from "./docker-client.ts";
import { createKeyed } from "./keyed.ts";

/** What runs on one Docker: its running containers by id, oldest first. */
export interface Engine {
  /** Docker's own id. */
  readonly id: string;
  readonly hostname: string;
  readonly apiVersion: string;
  readonly containers: ReadonlyMap<string, Container>;
  /**
   * Containers that Docker lists but cannot describe at present, with the reason. What `containers` holds of
   * them, if anything, is their last good description.
   */
  readonly unread: ReadonlyMap<string, string>;
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
/** ms, the longest wait between two tries to connect: a Docker that is back is noticed within two seconds. */
const retryCap = 1500;

/**
 * Watches one Docker for ever. Each connection subscribes first and lists second, then re-reads just the
 * containers that an event touched; a broken or silent connection keeps the last value, with a problem.
 */
export function observeDocker(options: DockerOptions): Source<Engine> {
  const cell = createCell<Engine>();
  const closing = new AbortController();
  /** When each signal last reached each container, on the monotonic clock. */
  const signalled = new Map<string, Map<number, number>>();
  let lastEvent: number | undefined;
  let relist = () => {};

  /** One connection, until it breaks. */
  const session = async (ending: AbortController) => {
    const { signal } = ending;
    const client = await connectDocker(options.url, options.env, signal);
    const events = await client.events(lastEvent ?? client.now - readBack, signal);
    const { engine: id, hostname, apiVersion } = client;
    const before = cell.current();
    const known = new Map(before.known && before.value.id === id ? before.value.containers : []);
    const unread = new Map<string, string>();
    const expiries = new Map<string, () => void>();
    /** Containers that ended after their latest read began. */
    const endedSince = new Set<string>();
    let listed = false;

    const publish = () => {
      if (!listed || signal.aborted) return;
      const now = cell.current();
      const previous = now.known ? now.value : undefined;
      const next = {
        id,
        hostname,
        apiVersion,
        containers: inOrder(known, previous?.containers),
        unread,
      };
      const same =
        previous?.id === id &&
        previous.hostname === hostname &&
        previous.apiVersion === apiVersion &&
        previous.containers === next.containers &&
        JSON.stringify([...previous.unread]) === JSON.stringify([...unread]);
      cell.set(same ? previous : { ...next, unread: new Map(unread) });
    };
    /** The container with `stopping` as the signals that it got say. Read again when that is over. */
    const mark = (container: Container): Container => {
      expiries.get(container.id)?.();
      const stops = [...(signalled.get(container.id) ?? [])].flatMap(([number, at]) =>
        isStopSignal(number, container.stopSignal) ? at : [],
      );
      const left = Math.max(...stops) + options.stoppingFor(container) - monotonic();
      if (left > 0)
        expiries.set(
          container.id,
          after(left, () => void guard(touch(container.id))),
        );
      return { ...container, stopping: left > 0 };
    };
    const remember = (container: Container) => {
      const before = known.get(container.id);
      const same = before && JSON.stringify(before) === JSON.stringify(container);
      known.set(container.id, same ? before : container);
    };
    const read = async (id: string) => {
      endedSince.delete(id);
      try {
        const container = await client.inspect(id, options.readable, signal);
        // What Docker tells may be older than the end; the read that the end asked for comes next.
        if (endedSince.has(id)) return;
        if (container) remember(mark(container));
        else {
          known.delete(id);
          signalled.delete(id);
          expiries.get(id)?.();
          expiries.delete(id);
        }
        unread.delete(id);
      } catch (error) {
        // Docker may hang or fail over one container for as long as it runs: the others must not wait for it.
        if (signal.aborted || !(error instanceof UnreadError)) throw error;
        unread.set(id, error.message);
      }
      publish();
    };
    const reads = createKeyed(parallel, read);
    const touch = reads.run;
    const list = async () => {
      const running = new Map((await client.list(signal)).map((entry) => [entry.Id, entry]));
      const due = [...running.values()].filter((entry) => {
        const container = known.get(entry.Id);
        return !listed || !container || unread.has(entry.Id) || !agrees(container, entry);
      });
      // A container ends when Docker says so of itself: that a list lacks it is no proof.
      const missing = [...known.keys(), ...signalled.keys(), ...unread.keys()].filter(
        (id) => !running.has(id),
      );
      await Promise.all([...due.map((entry) => entry.Id), ...missing].map(touch));
      listed = true;
      publish();
    };
    const onEvent = (event: DockerEvent) => {
      lastEvent = event.time;
      const ofNetwork = event.type === "network";
      const touched = ofNetwork ? event.attributes.container : event.id;
      if (!touched || event.action.startsWith("exec_") || event.action === "top") return;
      // Containers join networks before they start, and leave them after their end.
      if (ofNetwork && !known.has(touched) && !unread.has(touched) && !reads.busy(touched)) return;
      if (event.action === "start") signalled.delete(touched);
      if (event.action === "kill") {
        // Only what is read back is old, and the daemon's clock may be set at any time after that.
        const age = listed ? 0 : Math.max(0, client.now - event.time) * 1000;
        const signals = signalled.get(touched) ?? new Map<number, number>();
        signalled.set(touched, signals.set(Number(event.attributes.signal), monotonic() - age));
        // Published without asking Docker again: the signal itself is the news, and it is urgent.
        const container = known.get(touched);
        if (container) {
          remember(mark(container));
          publish();
        }
        return;
      }
      // Docker answers only when it has torn the container down. What is read back may be of an earlier life.
      if (event.action === "die" && event.time * 1000 >= Date.parse(known.get(touched)?.started ?? "")) {
        endedSince.add(touched);
        known.delete(touched);
        publish();
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
      while (!signal.aborted) {
        const wanted = new AbortController();
        relist = () => wanted.abort();
        await list();
        if (!signal.aborted) await pause(options.resync * (0.9 + Math.random() * 0.2), wanted.signal);
      }
    })();
    const ended = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      await Promise.race([reading, relisting, ended]);
    } finally {
      ending.abort();
      relist();
      for (const cancel of expiries.values()) cancel();
      await Promise.allSettled([reading, relisting, ended]);
    }
  };

  const ended = (async () => {
    for (let attempt = 0; !closing.signal.aborted; attempt += 1) {
      const began = monotonic();
      const ending = new AbortController();
      const end = () => ending.abort(closing.signal.reason);
      closing.signal.addEventListener("abort", end, { once: true });
      try {
        await session(ending);
      } catch (error) {
        if (closing.signal.aborted) return;
        const problem = coded("DOCKER_UNREACHABLE", error, `Docker at ${options.url}: `);
        cell.fail({ kind: problem.code === "DOCKER_DENIED" ? "denied" : "unreachable", error: problem });
      } finally {
        closing.signal.removeEventListener("abort", end);
      }
      // A session that lasted was a good one: its end is a new failure.
      if (monotonic() - began > 10_000) attempt = 0;
      await pause(backoff(attempt, 100, retryCap), closing.signal);
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

/** True when the list, which costs one call for all, shows nothing that the known container does not. */
function agrees(container: Container, entry: ContainerInfo): boolean {
  const health = /\((?:health: )?(starting|healthy|unhealthy)\)/.exec(entry.Status)?.[1] ?? "none";
  const networks = Object.entries(entry.NetworkSettings?.Networks ?? {});
  return (
    entry.Names.includes(`/${container.name}`) &&
    (entry.State === "paused") === container.paused &&
    entry.State !== "restarting" &&
    health === container.health &&
    samePorts(container, entry) &&
    networks.length === container.networks.length &&
    container.networks.every((network) =>
      networks.some(([name, end]) => name === network.name && (end.IPAddress ?? "") === network.ipv4),
    )
  );
}

/** A restart gives new host ports and may leave all else as it was. */
function samePorts(container: Container, entry: ContainerInfo): boolean {
  const before = container.ports.flatMap(({ port, protocol, bindings }) =>
    bindings.map((binding) => `${binding.address} ${binding.port} ${port}/${protocol}`),
  );
  const now = (entry.Ports ?? []).flatMap(({ IP, PublicPort, PrivatePort, Type }) =>
    PublicPort ? `${IP} ${PublicPort} ${PrivatePort}/${Type}` : [],
  );
  return JSON.stringify(before.sort()) === JSON.stringify(now.sort());
}

/** Oldest first. The very map of before when it holds the same containers. */
function inOrder(
  known: ReadonlyMap<string, Container>,
  previous: ReadonlyMap<string, Container> | undefined,
): ReadonlyMap<string, Container> {
  const entries = [...known];
  const same = previous?.size === entries.length && entries.every(([id, c]) => previous.get(id) === c);
  if (previous && same) return previous;
  entries.sort(([idA, a], [idB, b]) => compare(a.created, b.created) || compare(idA, idB));
  return new Map(entries);
}

/** True when `number` is the container's stop signal, or one that nothing survives. */
function isStopSignal(number: number, stopSignal: string): boolean {
  return number === constants.signals.SIGKILL || number === signalNumber(stopSignal);
}

/** Of a name as Docker takes it: with or without SIG, in any case, real-time ones relative to either end. */
function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG");
  const realTime = /^SIGRTM(IN|AX)(?:[+-](\d+))?$/.exec(name);
  if (realTime) return realTime[1] === "IN" ? 34 + Number(realTime[2] ?? 0) : 64 - Number(realTime[2] ?? 0);
  return (constants.signals as Readonly<Record<string, number>>)[name] ?? Number(text);
}
