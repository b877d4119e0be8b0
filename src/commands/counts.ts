import type { Expectation } from "../config/expectations.ts";
import type { Instance } from "../instance.ts";

/** An expectation and what is there. */
export interface Count {
  readonly expected: Expectation;
  /** The ready instances that it is about. */
  readonly live: number;
  readonly verdict: "equal" | "too many" | "too few";
}

/** Compares what should be there with the instances of each service. */
export function countsOf(
  expectations: readonly Expectation[],
  instances: (service: string) => readonly Instance[],
): readonly Count[] {
  return expectations.map((expected) => {
    const { service, min, max, tag, role } = expected;
    const live = instances(service).filter(
      (one) =>
        one.state === "ready" &&
        (tag === undefined || one.tags.includes(tag)) &&
        (role === undefined || one.role === role),
    ).length;
    return { expected, live, verdict: live < min ? "too few" : live > max ? "too many" : "equal" };
  });
}

/** As Nagios and Consul's script checks read it: 0 all equal, 1 somewhere too many, 2 somewhere too few. */
export function exitCodeOf(counts: readonly Count[]): 0 | 1 | 2 {
  if (counts.some(({ verdict }) => verdict === "too few")) return 2;
  return counts.some(({ verdict }) => verdict === "too many") ? 1 : 0;
}

/** A line that says it all, and one for each expectation. */
export function countsText(counts: readonly Count[]): string {
  const state = ["OK", "WARNING", "CRITICAL"][exitCodeOf(counts)];
  const wrong = counts.filter(({ verdict }) => verdict !== "equal");
  const summary = wrong.length === 0 ? `${counts.length} as expected` : wrong.map(sentence).join("; ");
  const figures = counts.map(({ expected, live }) => `'${whatOf(expected)}'=${live}`).join(" ");
  return `${state} - ${summary} | ${figures}\n${counts.map((one) => `${sentence(one)}\n`).join("")}`;
}

function sentence({ expected, live, verdict }: Count): string {
  const { min, max } = expected;
  const range =
    min === max ? String(min) : max === Number.POSITIVE_INFINITY ? `${min} or more` : `${min} to ${max}`;
  return `${whatOf(expected)}: ${verdict === "equal" ? "" : `${verdict}, `}${live} ready, expected ${range}`;
}

/** `db`, `db tag=blue role=master`. */
function whatOf({ service, tag, role }: Expectation): string {
  return [
    service,
    ...(tag === undefined ? [] : [`tag=${tag}`]),
    ...(role === undefined ? [] : [`role=${role}`]),
  ].join(" ");
}
