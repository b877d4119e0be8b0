import { deadline, monotonic } from "../clock.ts";
import { coded, PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type HostTurn, type Locks, wishForTurn } from "./host-turn.ts";
import type { Installed } from "./install-request.ts";
import type { Owed, ReloadContext } from "./reload/index.ts";
import type { Target } from "./target.ts";

/** When the proxies of one target, or of one group, may be reloaded: after its splay, and in its turn among hosts. */
export interface Clearance {
  /**
   * Does an install that asks for clearance. A turn that it takes is given back when it has ended, also when it has
   * failed. What its reload has to wait for is in its outcome, and the next install goes on with that wait.
   */
  during(
    signal: AbortSignal,
    install: (clearance: ReloadContext["clearance"]) => Promise<Installed>,
  ): Promise<Installed>;
  /** Waits for nothing any more. */
  stop(): Promise<void>;
}

/** What a clearance needs of the templater around it. */
export interface ClearanceOptions {
  /** Absent where the backend has none: no target may have `reloadTurns` then. */
  readonly locks?: Locks | undefined;
  /** The name of this host, which others who wait are told. */
  readonly node: string;
  readonly log: Pick<Log, "warn">;
  /** The turn that an install has waited for may have come. */
  nudge(): void;
  /** How a turn was come by: it was taken, or the reload goes without it because it came too late or nobody answered. */
  told(result: "taken" | "late" | "unreached"): void;
}

/** ms that the backend may take to say whose turn it is. */
const patience = 3_000;
/** ms that it gets at least when there is no time left. */
const lastPatience = 500;
/** ms until it is asked again, whatever its watch has told. */
const again = 2_000;

/** The clearance of some targets: the longest splay among them, and the turns that one of them has. */
export function createClearance(targets: readonly Target[], options: ClearanceOptions): Clearance {
  const { locks, node, log, nudge, told } = options;
  const destination = targets.map((target) => target.destination).join(", ");
  const splay = Math.max(...targets.map((target) => target.splay ?? 0));
  const turns = targets.find(({ reloadTurns }) => reloadTurns)?.reloadTurns;
  /** From when on the reload that is owed may happen, as far as the splay goes; undefined while none is. */
  let from: number | undefined;
  let turn: HostTurn | undefined;
  let ending: Promise<unknown> = Promise.resolve();

  const end = () => {
    ending = Promise.all([ending, turn?.end()]);
    from = undefined;
    turn = undefined;
  };

  /** What a turn that has been due since `since` is waited for, `why` the reload goes without it, or neither. */
  const takeTurn = async (since: number, signal: AbortSignal): Promise<Owed | { why?: string }> => {
    if (locks === undefined || turns === undefined) return {};
    const { name, atMost, wait } = turns;
    turn ??= wishForTurn(locks, turns, node);
    const left = since + wait - monotonic();
    const limit = deadline(Math.min(patience, Math.max(left, lastPatience)), signal);
    try {
      const holder = await turn.take(limit);
      if (holder === undefined) {
        told("taken");
        return {};
      }
      if (left > 0) {
        turn.watch(nudge);
        const reason = `waits for its turn to reload: of the hosts of ${name}, at most ${atMost} at once`;
        return { owed: "held", reason, retryIn: Math.min(again, left) };
      }
      told("late");
      return { why: `its turn did not come within ${wait / 1000} s; ${holder} has it` };
    } catch (error) {
      if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
      told("unreached");
      const { code, message } = coded("FAILED", error);
      return { why: code === "ABORTED" ? "the backend does not say whose turn it is" : message };
    }
  };

  return {
    async during(signal, install) {
      let isCleared = false;
      let isWaiting = true;
      let note: string | undefined;
      const clearance = async (): Promise<Owed | undefined> => {
        if (isCleared) return undefined;
        from ??= monotonic() + Math.random() * splay;
        const early = from - monotonic();
        if (early > 0) {
          const reason = `waits ${(early / 1000).toFixed(1)} s before it reloads, as splay says`;
          return { owed: "held", reason, retryIn: early };
        }
        const taken = await takeTurn(from, signal);
        if ("owed" in taken) return taken;
        if (taken.why !== undefined) {
          log.warn({ destination, why: taken.why }, "reloads without its turn");
          note = `without its turn: ${taken.why}`;
        }
        isCleared = true;
        return undefined;
      };
      try {
        const installed = await install(clearance);
        isWaiting = installed.verdict === "owed" || installed.verdict === "superseded";
        if (note === undefined) return installed;
        return { ...installed, note: [installed.note, note].filter(Boolean).join("; ") };
      } finally {
        // What cannot be installed leaves what was swapped before, and that waits on.
        if (isCleared || !isWaiting) end();
      }
    },
    async stop() {
      end();
      await ending;
    },
  };
}
