import { isDeepStrictEqual } from "node:util";
import type { KeySnapshot, Snapshot } from "../backends/backend.ts";
import { after, deadline, monotonic } from "../clock.ts";
import type { TargetStatus } from "../daemon-status.ts";
import { PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { Observed } from "../source.ts";
import { askEvery, createGuard, type Guard, type Guarded, type Held } from "./guard.ts";
import type { GuardSettings } from "./guard-settings.ts";
import type { LastGood, LastWorld } from "./last-good.ts";
import type { Reads, World } from "./view.ts";

/** The backend, as far as a guard asks it. */
export interface Asked {
  observed(): Observed<Snapshot>;
  /** Asks for a full read soon. */
  refresh(): void;
  /** Which of these nodes somebody claims and lives; absent where that cannot be told. */
  living?(nodes: ReadonlySet<string>, signal: AbortSignal): Promise<ReadonlySet<string>>;
}

/** What a guarded world is made of. */
export interface GuardedWorldOptions {
  readonly settings: GuardSettings;
  readonly lastGood: LastGood;
  readonly backend: Asked;
  /** Names the target, for the log. */
  readonly name: { readonly destination: string };
  readonly log: Log;
  readonly meter: Meter;
  /** Called when `show` may say something else, though the observation is as it was. */
  changed(): void;
}

/** The world of one target, or of one group: what the backend says, behind a guard. */
export interface GuardedWorld {
  /** Resolves when it is known what the process before has left. Until then nothing is to be shown. Never rejects. */
  readonly ready: Promise<void>;
  /** The observation has changed: to be called for every change. */
  look(): void;
  /** The world for templates that read this. Of services that none of them reads, no hold is told. */
  show(reads: readonly Pick<Reads, "services" | "all">[]): Guarded;
  /** Keys and values as they are now; while they are `away`, those that are not known are what was left. */
  keys(now: World["keys"], away: boolean): World["keys"];
  /**
   * This world was good for a render: the next process begins with it. To be asked again costs nothing, unless the
   * write has failed. Never rejects.
   */
  keep(snapshot: Snapshot | undefined, keys: KeySnapshot | undefined): void;
  /** The world that the process before has kept; undefined when it has kept none. */
  left(): Snapshot | undefined;
  /** Why the world is not shown as the backend says it is; empty when it is. */
  notReady(): readonly string[];
  /** What keeps it from telling yet, for the moment that a question takes. */
  unsure(): string | undefined;
  status(): Pick<TargetStatus, "held" | "lastGoodOf">;
  /** Ends it, once what is to be kept is written. */
  stop(): Promise<void>;
}

/** ms that the backend has to say who lives. */
const patience = 5_000;

/** ms before the end of a hold at which the backend is read once more. */
const lastLook = 1_000;

/** Reads what was left, and guards from then on. */
export function createGuardedWorld(options: GuardedWorldOptions): GuardedWorld {
  const { settings, lastGood, backend, name, log, meter, changed } = options;
  const stopping = new AbortController();
  let guard: Guard = createGuard(settings, undefined);
  let isReady = false;
  /** When the snapshot was written that this process began with. */
  let leftAt: string | undefined;
  let left: LastWorld | undefined;
  /** Whether something is shown that the process before has left. */
  let isLeft = false;
  /** What was left of keys beside what is known of them, and whether that is what is shown. */
  let merged: { readonly now: World["keys"]; readonly keys: KeySnapshot } | undefined;
  let areKeysLeft = false;
  /** Of what is held, what is told. */
  let held: readonly Held[] = [];
  const toldHeld = new Set<string>();
  let asking = 0;
  let cancelHold = () => {};
  let cancelAsk = () => {};
  let due: number | undefined;
  let keeping: Promise<void> = Promise.resolve();
  let next: LastWorld | undefined;
  /** What was asked last to be kept, or what was left; undefined when it is not on the disk. */
  let kept: LastWorld | undefined;
  let isKeptBad = false;

  const begin = async () => {
    try {
      const found = await lastGood.read();
      left = found;
      kept = found;
      leftAt = found?.at;
    } catch (error) {
      log.warn({ ...name, err: error }, "what was good last is not known");
    }
    guard = createGuard(settings, left?.snapshot);
    guard.see(backend.observed(), monotonic());
    isReady = true;
  };

  const ask = async (nodes: ReadonlySet<string>) => {
    if (!backend.living) return;
    asking += 1;
    try {
      guard.living(nodes, await backend.living(nodes, deadline(patience, stopping.signal)), monotonic());
    } catch (error) {
      // Whoever is not known to live may be dead: the hold goes on.
      const isDenied = error instanceof PortolanError && error.code === "BACKEND_DENIED";
      if (!stopping.signal.aborted)
        log[isDenied ? "warn" : "debug"]({ ...name, err: error }, "not known who lives");
    } finally {
      asking -= 1;
    }
    if (!stopping.signal.aborted) changed();
  };

  /** Looks again at the end of a hold, after one more read of the backend. */
  const wakeAt = (until: number | undefined) => {
    if (until === due) return;
    cancelHold();
    cancelHold = () => {};
    due = until;
    if (until === undefined) return;
    const rest = until - monotonic();
    const end = () => {
      due = undefined;
      changed();
    };
    cancelHold = after(Math.max(0, rest - Math.min(lastLook, settings.hold / 4)), () => {
      backend.refresh();
      // A millisecond more, because timers may be early by a fraction of one.
      cancelHold = after(Math.max(0, until - monotonic()) + 1, end);
    });
  };

  /** One line when something begins to be held, and one when that is over. */
  const tell = () => {
    if (asking > 0) return;
    for (const { service, ids, why } of held) {
      if (toldHeld.has(service)) continue;
      toldHeld.add(service);
      meter.count("guard_holds", { target: name.destination });
      log.warn({ ...name, service, ids: ids.slice(0, 10) }, `held as it was: ${why}`);
    }
    for (const service of toldHeld) {
      if (held.some((one) => one.service === service)) continue;
      toldHeld.delete(service);
      log.info({ ...name, service }, "no longer held");
    }
  };

  return {
    ready: begin(),
    look() {
      if (isReady) guard.see(backend.observed(), monotonic());
    },
    show(reads) {
      const byName = new Set(reads.flatMap(({ services }) => [...services]));
      const world = guard.show(byName, monotonic());
      const readsAll = reads.some(({ all }) => all);
      held = readsAll ? world.held : world.held.filter(({ service }) => byName.has(service));
      wakeAt(world.until);
      cancelAsk();
      if (backend.living && world.until !== undefined) cancelAsk = after(askEvery, changed);
      if (world.ask.size > 0) void ask(world.ask);
      tell();
      if (world.isLeft && !isLeft)
        log.warn({ ...name, at: leftAt }, "the last good snapshot counts until the backend is back");
      isLeft = world.isLeft;
      return world;
    },
    keys(now, away) {
      areKeysLeft = away && left?.keys !== undefined && now !== "none";
      if (!areKeysLeft || left?.keys === undefined || now === "none") return now;
      if (merged === undefined || merged.now !== now) {
        const keys = new Map([...left.keys.keys, ...(now?.keys ?? [])]);
        const trees = new Map([...left.keys.trees, ...(now?.trees ?? [])]);
        merged = { now, keys: { keys, trees } };
      }
      return merged.keys;
    },
    keep(snapshot, keys) {
      if (snapshot === undefined || isLeft || areKeysLeft) return;
      if (snapshot === kept?.snapshot && isDeepStrictEqual(keys, kept.keys)) return;
      const isWaiting = next !== undefined;
      next = { snapshot, keys };
      kept = next;
      if (isWaiting) return;
      keeping = keeping.then(async () => {
        const now = next;
        next = undefined;
        if (now === undefined) return;
        try {
          await lastGood.keep(now.snapshot, now.keys);
          isKeptBad = false;
        } catch (error) {
          if (!isKeptBad) log.warn({ ...name, err: error }, "the last good snapshot is not kept");
          isKeptBad = true;
          kept = undefined;
        }
      });
    },
    left: () => left?.snapshot,
    notReady: () =>
      asking > 0 ? [] : held.map(({ service, why }) => `${service} is held as it was: ${why}`),
    unsure: () => {
      const [one] = held;
      return asking > 0 && one ? `${one.service} is held until it is known who lives` : undefined;
    },
    status: () => ({
      ...(held.length > 0 && { held }),
      ...((isLeft || areKeysLeft) && leftAt !== undefined && { lastGoodOf: leftAt }),
    }),
    async stop() {
      stopping.abort();
      cancelHold();
      cancelAsk();
      await keeping;
    },
  };
}
