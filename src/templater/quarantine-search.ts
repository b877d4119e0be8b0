/** What is known of services that a check refuses together. Each of them is in one of these. */
export interface Found {
  /** They pass together. */
  readonly passing: readonly string[];
  /** Each of them is refused beside those that pass, with the words of the check. */
  readonly refused: ReadonlyMap<string, string>;
  /** What has not been found out, with what the check has said last of all of them. */
  readonly undecided: ReadonlyMap<string, string>;
}

/** How many checks a search among so many services takes at most: enough for one that is at fault, and often for two. */
export function mostChecks(services: number): number {
  return Math.min(16, 2 * Math.ceil(Math.log2(services)) + 2);
}

/**
 * Finds those of `services` that a check refuses; all together it has refused, with the words `why`. Yields what is to
 * be checked next: services as they are now, while all others are as they were. It takes the words of the check for
 * that, undefined when it passes. A part that is refused is halved until one service is left, which is at fault, and
 * then all that is left is asked about at once. Where even the world before is refused, no service is at fault, and
 * nothing is found.
 */
export function* searchRefused(
  services: readonly string[],
  why: string,
): Generator<readonly string[], Found, string | undefined> {
  let left = mostChecks(services.length);
  const passing: string[] = [];
  const refused = new Map<string, string>();
  /** Not decided yet, and refused together beside what passes. */
  let rest = services;
  let words = why;
  const undecided = () => new Map(rest.map((name) => [name, words] as const));

  const ask = function* (
    names: readonly string[],
  ): Generator<readonly string[], string | undefined, string | undefined> {
    left -= 1;
    const said = yield [...passing, ...names];
    if (said === undefined) passing.push(...names);
    return said;
  };

  if ((yield* ask([])) !== undefined) return { passing, refused, undecided: undecided() };
  for (;;) {
    let part = { names: rest, words };
    while (part.names.length > 1 && left > 0) {
      const middle = part.names.length >> 1;
      const half = part.names.slice(0, middle);
      const said = yield* ask(half);
      // When the one half passes, it is the other one that is refused.
      if (said === undefined) part = { ...part, names: part.names.slice(middle) };
      else part = { names: half, words: said };
    }
    const [one = "", ...others] = part.names;
    if (others.length === 0) refused.set(one, part.words);
    const decided = new Set([...passing, ...refused.keys()]);
    rest = rest.filter((name) => !decided.has(name));
    if (rest.length === 0 || left === 0) return { passing, refused, undecided: undecided() };
    const said = yield* ask(rest);
    if (said === undefined) return { passing, refused, undecided: new Map() };
    words = said;
  }
}
