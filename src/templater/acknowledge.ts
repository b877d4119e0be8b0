import { randomBytes } from "node:crypto";
import { acknowledged, encodeAcknowledgement, type TargetWorld } from "../acknowledgement.ts";
import type { HeldNote, Notes } from "../backends/backend.ts";
import { after, deadline, monotonic, pause, wallTime } from "../clock.ts";
import { coded, type PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import type { Log } from "../log.ts";
import { controlLoop } from "../loop.ts";
import type { StateDir } from "../state-dir.ts";

/** What a templater tells of itself, for those who wait until it has applied something. */
export interface Acknowledger {
  /** What the targets run with may have changed. */
  changed(): void;
  /** The note's name, and why it could not be written. */
  status(): object;
  /** Ends it; with `isLast` the note goes at once, so that nobody waits for a templater that went. Never rejects. */
  stop(isLast: boolean): Promise<void>;
}

/** What an acknowledger is made of. */
export interface AcknowledgerOptions {
  /** The area `templaters` of the backend. */
  readonly notes: Notes;
  /** The name of this host, for people. */
  readonly node: string;
  readonly state: Pick<StateDir, "read" | "write">;
  /** What the targets run with now. */
  targets(): readonly TargetWorld[];
  readonly log: Log;
}

/** Seconds without a beat after which a templater counts as gone. */
const ttl = 15;
/** ms that the backend has for one write. */
const patience = 5_000;
/** ms that it has for the last one: the process is to end within 5 s. */
const lastPatience = 1_000;
/** ms between two writes at least, however fast the files change. */
const gap = 100;

const file = "templater-id";

/**
 * Holds `templaters/<node>:<id>` from now on: written at once after each change of what it says, else renewed at a
 * third of its lease. The id is random and kept in the state folder, which belongs to one process at a time, so
 * that no two templaters of a host share a note. Failures are told once and disturb nobody.
 */
export function acknowledge(options: AcknowledgerOptions): Acknowledger {
  const { notes, node, state, log } = options;
  let name: string | undefined;
  let note: HeldNote | undefined;
  let written: string | undefined;
  /** When the next beat is due, in ms on the monotonic clock. */
  let due = 0;
  let cancelBeat = () => {};
  let problem: PortolanError | undefined;
  const ranks = createRanks();
  let said: { readonly gist: string; readonly text: string } | undefined;

  /** The time in it is that of its last change, so that equal worlds give equal texts. */
  const textNow = () => {
    const targets = options.targets();
    const rank = ranks.of(targets);
    const gist = encodeAcknowledgement(acknowledged(node, "", targets, rank));
    if (said?.gist !== gist) {
      const at = wallTime();
      said = { gist, text: encodeAcknowledgement(acknowledged(node, at, targets, rank)) };
    }
    return said.text;
  };

  const loop = controlLoop({
    retryCap: (ttl * 1000) / 3,
    async pass({ signal }) {
      const text = textNow();
      if (text === written && monotonic() < due) return undefined;
      name ??= `${node}:${await ownId(state)}`;
      note ??= notes.hold(name, ttl);
      const { ttl: granted } = await note.renew(text, deadline(patience, signal));
      written = text;
      problem = undefined;
      cancelBeat();
      due = granted === 0 ? Number.POSITIVE_INFINITY : monotonic() + (granted * 1000) / 3;
      if (granted > 0) cancelBeat = after((granted * 1000) / 3, loop.nudge);
      await pause(gap, signal);
      return undefined;
    },
    failed(error) {
      const next = coded("FAILED", error);
      if (problem?.code !== next.code)
        log.warn(
          { err: next },
          "what is applied is not told to others; `portolan stop` does not wait for it",
        );
      problem = next;
      // It may be there, or not.
      written = undefined;
    },
  });
  loop.nudge();

  return {
    changed: loop.nudge,
    status: () => ({ name, ...(problem && { problem: problem.message }) }),
    async stop(isLast) {
      await loop.stop();
      cancelBeat();
      // A note that cannot be removed now runs out by itself.
      if (isLast) await note?.release(deadline(lastPatience)).catch(() => {});
    },
  };
}

/** What tells this templater from all others, also after a restart. */
async function ownId(state: Pick<StateDir, "read" | "write">): Promise<string> {
  const before = (await state.read(file))?.trim();
  if (before) return before;
  const id = randomBytes(4).toString("hex");
  await state.write(file, `${id}\n`);
  return id;
}

/** Remembers which services changed last. */
function createRanks() {
  let lists = new Map<string, readonly (readonly Instance[] | undefined)[]>();
  const ranks = new Map<string, number>();
  let time = 0;
  return {
    of(targets: readonly TargetWorld[]): (service: string) => number {
      time += 1;
      const worlds = targets.map(({ accepted }) => accepted?.instances);
      const names = new Set(worlds.flatMap((world) => [...(world?.keys() ?? [])]));
      const next = new Map([...names].map((name) => [name, worlds.map((world) => world?.get(name))]));
      for (const [name, now] of next) {
        const before = lists.get(name);
        if (now.some((list, at) => list !== before?.[at])) ranks.set(name, time);
      }
      for (const name of ranks.keys()) if (!next.has(name)) ranks.delete(name);
      lists = next;
      return (service) => ranks.get(service) ?? 0;
    },
  };
}
