// What happened in an election among several processes, and the model that says what may not happen in one.

/** Times in ms on the monotonic clock that all processes of a machine share. `run` counts the lives of a contender. */
export type Happening = { readonly at: number; readonly who: string; readonly run: number } & (
  | { readonly kind: "told"; readonly role: "master"; readonly token: string }
  | { readonly kind: "told"; readonly role: "slave" | "unknown" }
  /** It did nothing from `since` until `at`: it was stopped, or got no processor. */
  | { readonly kind: "stood still"; readonly since: number }
  | { readonly kind: "ended" }
);

/** A time in which a process believed that it was master. */
interface Belief {
  readonly who: string;
  readonly run: number;
  readonly token: string;
  readonly from: number;
  readonly to: number;
}

/** ms that a process may take after a standstill until it looks at the clock again. */
const reaction = 250;

/** How often somebody became master. */
export function termsIn(history: readonly Happening[]): number {
  return new Set(beliefsIn(history).map(({ token }) => token)).size;
}

/**
 * What may not happen, in sentences; empty when nothing did. At every instant one process at most believes itself
 * master, but for one that stood still and has not looked at the clock since: and that one has the smaller token, so
 * that whoever guards something by tokens refuses it. Tokens grow from master to master, and nobody has another's.
 */
export function faultsIn(history: readonly Happening[]): readonly string[] {
  const faults: string[] = [];
  const beliefs = [...beliefsIn(history)].sort((a, b) => a.from - b.from);
  for (const [at, later] of beliefs.entries()) {
    for (const earlier of beliefs.slice(0, at)) {
      if (earlier.who === later.who) continue;
      const names = `${told(earlier)} and ${told(later)}`;
      if (earlier.token === later.token) faults.push(`${names} have one token`);
      const wasLate = standstills(history, later).some(
        ({ from, to }) => from < later.from && later.from < to,
      );
      if (BigInt(earlier.token) > BigInt(later.token) && !wasLate) faults.push(`${names}: the token shrank`);
      if (earlier.to <= later.from) continue;
      const [behind, to] = [
        BigInt(earlier.token) < BigInt(later.token) ? earlier : later,
        Math.min(earlier.to, later.to),
      ];
      if (!covered(standstills(history, behind), later.from, to)) faults.push(`${names} at one time`);
    }
  }
  return faults;
}

/** Each belief from its telling to the next one, the end of its process, or the end of the history. */
function beliefsIn(history: readonly Happening[]): readonly Belief[] {
  const end = Math.max(0, ...history.map(({ at }) => at));
  return history.flatMap((one): Belief[] => {
    if (one.kind !== "told" || one.role !== "master") return [];
    const { who, run, token, at: from } = one;
    const next = history.find(
      (other) => other.who === who && other.run === run && other.kind !== "stood still" && other.at > from,
    );
    return [{ who, run, token, from, to: next?.at ?? end }];
  });
}

/** The times in which the process of a belief could not look at the clock. */
function standstills(
  history: readonly Happening[],
  { who, run }: Belief,
): readonly { readonly from: number; readonly to: number }[] {
  return history.flatMap((one) =>
    one.kind === "stood still" && one.who === who && one.run === run
      ? [{ from: one.since, to: one.at + reaction }]
      : [],
  );
}

/** Whether the spans, which are in order, leave no gap from `from` to `to`. */
function covered(
  spans: readonly { readonly from: number; readonly to: number }[],
  from: number,
  to: number,
): boolean {
  let reached = from;
  for (const span of spans) if (span.from <= reached) reached = Math.max(reached, span.to);
  return reached >= to;
}

function told({ who, token, from, to }: Belief): string {
  return `${who} (token ${token}, ${Math.round(from)} to ${Math.round(to)} ms)`;
}
