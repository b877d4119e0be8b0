import { constants } from "node:os";
import { backoff, monotonic, pause } from "../../clock.ts";
import { coded } from "../../errors.ts";
import type { LocalContainerSource } from "../../local-containers.ts";
import { type Meter, unmeasured } from "../../meter.ts";
import { createCell, type Source } from "../../source.ts";
import { createAlarms } from "./alarms.ts";
import { connectDocker, type DockerEvent, type Inspected } from "./client.ts";
import type { Container } from "./container.ts";
import { createCrashes } from "./crashes.ts";
import type { Internal } from "./described.ts";
import { createDescriptions } from "./descriptions.ts";
import { eventKind } from "./event-kind.ts";
import { agrees, inOrder, isUp, listedExitCode } from "./list.ts";
import { createReads } from "./reads.ts";
import { isStopSignal } from "./stop-signal.ts";

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
  /**
   * Containers that are known not to run: whether their records stay. One that is neither here nor in any other
   * map is unknown, since those that ended before are looked at only when `recall` names them.
   */
  readonly ended: ReadonlyMap<string, boolean>;
  /** Containers in a crash loop, running at present or not, which do not count as running for now. */
  readonly crashing: ReadonlyMap<string, Container>;
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
  /** Whether the records of a container stay that ended with this exit code. */
  keeps(container: Pick<Container, "labels" | "env">, exitCode: number): boolean;
  /** How the daemon is reached; by its URL when absent. */
  readonly connect?: typeof connectDocker;
  readonly meter?: Meter | undefined;
}

/** A Docker that is observed. */
export interface DockerSource extends Source<Engine> {
  /**
   * Tells of which containers somebody holds records from an earlier time, and whether those say `draining`.
   * Containers that do not run are looked at, once. A drain that began before the events that Docker still
   * knows goes on; that is published before this returns.
   */
  recall(records: Iterable<{ readonly id: string; readonly draining: boolean }>): void;
  /** The whole containers, of the same events and reads; what this source was closed with stays. */
  readonly whole: LocalContainerSource;
}

/** ms, the longest wait between two tries to connect: a Docker that is back is noticed within two seconds. */
const retryCap = 1500;
/** Containers that are remembered as gone: any other is looked at again if somebody holds a record of it. */
const rememberedGone = 1000;

/**
 * Watches one Docker for ever. Each connection subscribes first and lists second, then re-reads just the
 * containers that an event touched; a broken or silent connection keeps the last value, with a problem.
 */
export function observeDocker(options: DockerOptions): DockerSource {
  const { connect = connectDocker, meter = unmeasured } = options;
  const cell = createCell<Engine>();
  const closing = new AbortController();
  /** When each signal last reached each container, on the monotonic clock. */
  const signalled = new Map<string, Map<number, number>>();
  /** Containers that do not run, the latest last. */
  const ended = new Map<string, { readonly kept: boolean; readonly exitCode: number | undefined }>();
  /** When the process of each container was started: as Docker says, and on the monotonic clock. */
  const runs = new Map<string, { readonly started: string | undefined; readonly at: number }>();
  const crashes = createCrashes();
  const crashing = new Map<string, Container>();
  /** Containers that `recall` has named and that have not been looked at yet. */
  const asked = new Set<string>();
  /** What `recall` was told while there was no connection. */
  const owed = new Map<string, boolean>();
  /** Since when all events are known: Unix seconds on the daemon's clock, and the monotonic clock. */
  let history: { readonly time: number; readonly at: number } | undefined;
  let engineId: string | undefined;
  let lastEvent: number | undefined;
  let relist = () => {};
  const descriptions = createDescriptions(() => relist());
  /** Whether networks lead nowhere else, as far as they were asked about; undefined where Docker did not say. */
  let internal: Internal = new Map();
  let recall: DockerSource["recall"] = (records) => {
    for (const { id, draining } of records) owed.set(id, draining || owed.get(id) === true);
  };
  const later = recall;

  const setEnded = (id: string, kept: boolean, exitCode?: number) => {
    ended.delete(id);
    ended.set(id, { kept, exitCode });
    if (ended.size <= rememberedGone) return;
    const oldest = [...ended].find(([, { kept }]) => !kept);
    if (oldest) ended.delete(oldest[0]);
  };
  const forgetAll = () => {
    for (const memory of [signalled, ended, runs, crashing, asked, owed]) memory.clear();
    descriptions.forget();
    history = undefined;
    lastEvent = undefined;
  };

  /** One connection, until it breaks. */
  const session = async (ending: AbortController) => {
    const { signal } = ending;
    const client = await connect(options.url, options.env, signal);
    const { engine: id, hostname, apiVersion } = client;
    if (engineId !== id) forgetAll();
    engineId = id;
    // What is past is read as a whole and first, so that nothing is published which it contradicts. It is not
    // asked for where the daemon's clock was set back, or is not known.
    const since = lastEvent ?? 1;
    const hasPast = since < client.now;
    const events = await client.events(hasPast ? client.now : since, signal);
    const past = hasPast ? await client.past(since, client.now, signal) : [];
    // What is told of an abort below would come too late for one that came meanwhile.
    signal.throwIfAborted();
    const before = cell.current();
    const known = new Map(before.known && before.value.id === id ? before.value.containers : []);
    /** Reads that are due when a drain or a crash loop may be over. */
    const due = createAlarms((id) => void reads.one(id));
    let listed = false;
    /** True from the first list on. */
    let reading = false;

    const publish = () => {
      if (!listed || signal.aborted) return;
      const now = cell.current();
      const previous = now.known ? now.value : undefined;
      const next: Engine = {
        id,
        hostname,
        apiVersion,
        containers: inOrder(known, previous?.containers),
        unread: shared(unread, previous?.unread),
        ended: shared(new Map([...ended].map(([id, { kept }]) => [id, kept])), previous?.ended),
        crashing: shared(crashing, previous?.crashing),
      };
      const same =
        previous && (Object.keys(next) as (keyof Engine)[]).every((key) => previous[key] === next[key]);
      cell.set(same ? previous : next);
      descriptions.publish();
    };
    /** The container with `stopping` as the signals that it got say. Read again when that is over. */
    const mark = (container: Container): Container => {
      const stops = [...(signalled.get(container.id) ?? [])].flatMap(([number, at]) =>
        isStopSignal(number, container.stopSignal) ? at : [],
      );
      const left = Math.max(...stops) + options.stoppingFor(container) - monotonic();
      if (left > 0) due.set(container.id, left);
      else due.cancel(container.id);
      return { ...container, stopping: left > 0 };
    };
    const remember = (container: Container) => {
      const before = known.get(container.id);
      const same = before && JSON.stringify(before) === JSON.stringify(container);
      known.set(container.id, same ? before : container);
    };
    const onRunning = (container: Container) => {
      const { id, started } = container;
      const run = runs.get(id);
      const at = run && (run.started ?? started) === started ? run.at : monotonic();
      if (at !== run?.at) hasRun(id, at);
      runs.set(id, { started, at });
      const left = at + crashes.hold(id) - monotonic();
      const failure = crashes.lastFailure(id);
      if (left > 0 && failure !== undefined) {
        known.delete(id);
        crashing.set(id, container);
        due.set(id, left);
        // Of an end before the first look nothing else is remembered.
        if (!ended.has(id)) setEnded(id, options.keeps(container, failure), failure);
      } else {
        ended.delete(id);
        crashing.delete(id);
        remember(mark(container));
      }
    };
    const onEnded = (id: string, inspected: Inspected | undefined) => {
      hasRun(id, monotonic());
      known.delete(id);
      signalled.delete(id);
      due.cancel(id);
      if (!inspected) crashes.forget(id);
      if (inspected && crashes.hold(id) > 0) crashing.set(id, inspected.container);
      else crashing.delete(id);
      const exitCode = inspected?.exitCode;
      const kept = inspected && exitCode !== undefined && options.keeps(inspected.container, exitCode);
      setEnded(id, kept ?? false, exitCode);
    };
    /** The container's process is over, or another one has taken its place, at this time on the monotonic clock. */
    const hasRun = (id: string, at: number) => {
      const run = runs.get(id);
      if (run) crashes.ran(id, at - run.at);
      runs.delete(id);
    };
    const reads = createReads({
      async inspect(id) {
        const inspected = await client.inspect(id, options.readable, signal);
        const isNew = inspected?.networks.some((network) => !internal.has(network));
        if (isNew && descriptions.wanted() !== "none") {
          const found = await client.networks(signal);
          const silent = inspected?.networks.map((network) => [network, undefined] as const) ?? [];
          internal = new Map([...internal, ...silent, ...found]);
        }
        return inspected;
      },
      found(id, inspected) {
        descriptions.found(id, inspected, internal);
        if (inspected?.running) onRunning(inspected.container);
        else onEnded(id, inspected);
      },
      isEnough: (id) => ended.has(id),
      done(id) {
        asked.delete(id);
        publish();
      },
      broken: (error) => ending.abort(error),
      signal,
    });
    const { unread } = reads;
    const list = async () => {
      const endedBefore = new Map(ended);
      const kept = [...ended].filter(([, { kept }]) => kept);
      const wanted = descriptions.wanted();
      if (wanted !== "none") internal = await client.networks(signal);
      const listsEnded = kept.length > 0 || wanted === "all";
      const entries = new Map((await client.list(listsEnded, signal)).map((entry) => [entry.Id, entry]));
      const running = [...entries.values()].filter(isUp);
      const isRunning = (id: string) => {
        const entry = entries.get(id);
        return entry !== undefined && isUp(entry);
      };
      for (const { Id: id } of running) if (endedBefore.has(id)) hasStarted(id);
      const unsure = running.filter((entry) => {
        const container = known.get(entry.Id);
        return !listed || !container || unread.has(entry.Id) || !agrees(container, entry);
      });
      // A container ends when Docker says so of itself: that a list lacks it is no proof.
      const missing = [known, signalled, unread, crashing, asked]
        .flatMap((memory) => [...memory.keys()])
        .filter((id) => !isRunning(id));
      const undescribed = [
        ...[...entries.values()].filter(descriptions.lacks).map((entry) => entry.Id),
        ...[...descriptions.ids()].filter((id) => !entries.has(id)),
      ];
      const changed = kept.flatMap(([id, { exitCode }]) => {
        const entry = entries.get(id);
        return isRunning(id) || (entry && listedExitCode(entry) === exitCode) ? [] : id;
      });
      const toRead = [...unsure.map((entry) => entry.Id), ...missing, ...changed, ...undescribed];
      await reads.all([...new Set(toRead)]);
      listed = true;
      descriptions.complete(wanted);
      history ??= { time: client.now, at: monotonic() };
      recall = recallNow;
      const records = [...owed].map(([id, draining]) => ({ id, draining }));
      owed.clear();
      recallNow(records);
    };
    /** What is remembered of its end holds no more, unless it is in a crash loop and has to prove itself. */
    const hasStarted = (id: string) => {
      if (crashes.hold(id) === 0) ended.delete(id);
    };
    const onKill = (id: string, { time, attributes }: DockerEvent, age: number) => {
      const container = known.get(id);
      // One that comes late may be of an earlier life.
      if (container && time * 1000 < Date.parse(container.started)) return;
      const number = Number(attributes.signal);
      const signals = signalled.get(id) ?? new Map<number, number>();
      signalled.set(id, signals.set(number, monotonic() - age));
      if (!container) return;
      // Published without asking Docker again: the signal itself is the news, and it is urgent.
      remember(mark(container));
      publish();
    };
    const onDie = (id: string, { time, attributes }: DockerEvent, age: number) => {
      const container = known.get(id);
      const last = container ?? crashing.get(id);
      const wasUnread = unread.has(id);
      const stopSignal = last?.stopSignal ?? "SIGTERM";
      const stopped = [...(signalled.get(id)?.keys() ?? [])].some((number) =>
        isStopSignal(number, stopSignal),
      );
      const exitCode = /^\d+$/.test(attributes.exitCode ?? "") ? Number(attributes.exitCode) : undefined;
      const at = monotonic() - age;
      const ran = at - (runs.get(id)?.at ?? at);
      crashes.ended(id, { time, at, failure: exitCode === 0 || stopped ? undefined : exitCode, ran });
      // What is read back may be of an earlier life.
      if (container && time * 1000 < Date.parse(container.started)) return;
      if (crashes.hold(id) === 0) crashing.delete(id);
      else if (last) crashing.set(id, last);
      signalled.delete(id);
      runs.delete(id);
      known.delete(id);
      descriptions.ended(id);
      reads.ended(id);
      due.cancel(id);
      // Docker describes it only when it is torn down, and one that was unread maybe never: its event carries
      // the labels as attributes.
      if (exitCode !== undefined && (last || wasUnread)) {
        setEnded(id, options.keeps(last ?? { labels: attributes, env: {} }, exitCode), exitCode);
      }
      publish();
    };
    const onEvent = (event: DockerEvent) => {
      const { action, attributes, time } = event;
      lastEvent = time;
      meter.count("docker_events", { action: eventKind(action) });
      // Only what is read back is old, and the daemon's clock may be set at any time after that.
      const age = listed ? 0 : Math.max(0, client.now - time) * 1000;
      history ??= { time, at: monotonic() - age };
      const ofNetwork = event.type === "network";
      const touched = ofNetwork ? attributes.container : event.id;
      if (!touched || action.startsWith("exec_") || action === "top") return;
      // Containers join networks before they start, and leave them after their end.
      const isOfInterest = known.has(touched) || unread.has(touched) || reads.busy(touched);
      if (ofNetwork && (ended.has(touched) || !isOfInterest)) return;
      if (action === "start") {
        const at = monotonic() - age;
        signalled.delete(touched);
        hasRun(touched, at);
        runs.set(touched, { started: undefined, at });
        hasStarted(touched);
      }
      if (action === "kill") return onKill(touched, event, age);
      if (action === "die") onDie(touched, event, age);
      if (action === "destroy") {
        // There will never be more to read.
        reads.ended(touched);
        onEnded(touched, undefined);
        descriptions.found(touched, undefined, internal);
        return publish();
      }
      // What is past shows in the list that follows.
      if (reading) void reads.one(touched);
    };

    const recallNow: DockerSource["recall"] = (records) => {
      for (const { id, draining } of records) {
        const container = known.get(id);
        if (!container && !crashing.has(id) && !unread.has(id) && !ended.has(id)) {
          asked.add(id);
          void reads.one(id);
        }
        if (!container || !draining || !history || signalled.has(id)) continue;
        if (Date.parse(container.started) / 1000 >= history.time) continue;
        signalled.set(id, new Map([[constants.signals.SIGKILL, history.at]]));
        remember(mark(container));
      }
      publish();
    };
    for (const event of past) onEvent(event);
    reading = true;
    const following = (async () => {
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
    const over = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      await Promise.race([following, relisting, over]);
    } finally {
      recall = later;
      ending.abort();
      relist();
      due.clear();
      reads.close();
      await Promise.allSettled([following, relisting, over]);
    }
  };

  const stopped = (async () => {
    for (let attempt = 0; !closing.signal.aborted; attempt += 1) {
      const began = monotonic();
      const ending = new AbortController();
      const end = () => ending.abort(closing.signal.reason);
      closing.signal.addEventListener("abort", end, { once: true });
      try {
        await session(ending);
      } catch (error) {
        if (closing.signal.aborted) return;
        meter.count("retries", { loop: "docker" });
        const problem = coded("DOCKER_UNREACHABLE", error, `Docker at ${options.url}: `);
        const kind = problem.code === "DOCKER_DENIED" ? "denied" : "unreachable";
        for (const one of [cell, descriptions]) one.fail({ kind, error: problem });
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
    recall: (records) => recall(records),
    whole: descriptions.source,
    async close() {
      closing.abort();
      await stopped;
    },
  };
}

/** The map of before when it holds the same, else a copy that does not change any more. */
function shared<T>(
  map: ReadonlyMap<string, T>,
  previous: ReadonlyMap<string, T> | undefined,
): ReadonlyMap<string, T> {
  const same = previous?.size === map.size && [...map].every(([key, value]) => previous.get(key) === value);
  return previous && same ? previous : new Map(map);
}
