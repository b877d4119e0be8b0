import type { Role } from "../../instance.ts";

/** What a server said of itself at one probe. */
export interface Finding {
  readonly role: Role;
  /** Orders claims, where the server knows such a thing: a decimal number, higher is newer. */
  readonly epoch?: string;
}

/** How often something has to be seen before it is published. An explicit `slave` always counts at once. */
export interface Thresholds {
  /** Probes in a row that find a master before it is one. */
  readonly rise: number;
  /** Probes in a row without an answer before the role is unknown. */
  readonly fall: number;
}

/** What is published of one instance, and what its latest probes were. */
export interface Standing {
  /** Undefined: unknown, which is not `slave`. */
  readonly finding: Finding | undefined;
  /** Probes in a row that found a master which is not published yet. */
  readonly rising: number;
  /** Probes in a row without an answer. */
  readonly failing: number;
  /** Why the latest probe had no answer. */
  readonly problem: string | undefined;
}

/** Before the first probe. */
export const unprobed: Standing = { finding: undefined, rising: 0, failing: 0, problem: undefined };

/**
 * The standing after one more probe. A demotion is published at once and a promotion after `rise` probes in a
 * row; silence keeps what is published for `fall` probes.
 */
export function afterProbe(
  before: Standing,
  outcome: Finding | { readonly problem: string },
  { rise, fall }: Thresholds,
): Standing {
  if ("problem" in outcome) {
    const failing = before.failing + 1;
    const finding = failing >= fall ? undefined : before.finding;
    return { finding, rising: 0, failing, problem: outcome.problem };
  }
  const known = { failing: 0, problem: undefined };
  if (outcome.role === "slave") return { ...known, finding: outcome, rising: 0 };
  // A master that stays one may have a new epoch.
  if (before.finding?.role === "master") return { ...known, finding: outcome, rising: 0 };
  const rising = before.rising + 1;
  return rising >= rise
    ? { ...known, finding: outcome, rising: 0 }
    : { ...known, finding: before.finding, rising };
}

/** Whether the next probe should come soon, because a master waits to be confirmed. */
export function awaitsConfirmation({ rising }: Standing): boolean {
  return rising > 0;
}

/** Whether both publish the same. */
export function equalStanding(one: Standing, other: Standing): boolean {
  return (
    one.problem === other.problem &&
    one.finding?.role === other.finding?.role &&
    one.finding?.epoch === other.finding?.epoch
  );
}
