import { type Helper, kindOf, unquoted } from "./helper.ts";

/**
 * What a render may still do. Templates run in the process's only thread and nothing can interrupt them, so
 * every loop counts its own steps: each turn of a block, each `{{x}}`, each partial, each call of a helper and
 * each item or 64 characters that it takes and gives. A step takes about a microsecond. Counted and not timed,
 * so that equal worlds give equal results on any machine.
 */
export interface Budget {
  /** Throws when nothing is left. */
  spend(steps: number): void;
  spent(): number;
}

/** How many steps one render may take in a registry of so many instances. */
export function stepsFor(instances: number): number {
  return 3_000_000 + 30 * instances;
}

export function createBudget(limit: number): Budget {
  let spent = 0;
  return {
    spend(steps) {
      spent += steps;
      if (spent > limit) {
        throw new Error(`takes this render beyond ${limit} steps; look for a loop inside a loop`);
      }
    },
    spent: () => spent,
  };
}

/** The longest text that a helper takes, in characters: what is built of texts stays within bounds, too. */
export const longestText = 4 * 1024 * 1024;

/** A rendered file is longer than this only by mistake; in characters. */
export const longestOutput = 64 * 1024 * 1024;

/** The message for more than `longestOutput`. */
export const tooLong = `renders more than ${longestOutput / 1024 / 1024} MB; look for a loop inside a loop`;

/** The steps for a value that a helper takes or gives. */
export function weight(value: unknown): number {
  const plain = unquoted(value);
  if (typeof plain === "string") return plain.length >> 6;
  return Array.isArray(plain) ? plain.length : 0;
}

/** The steps for looking for one text in another, which takes its time where both repeat themselves. */
export function searchWeight(whole: unknown, part: unknown): number {
  const [hay, needle] = [unquoted(whole), unquoted(part)];
  if (typeof hay !== "string" || typeof needle !== "string" || needle.length > hay.length) return 0;
  return Math.floor(((hay.length - needle.length + 1) * needle.length) / 4096);
}

/** Takes the steps for the arguments of a helper, before it is called. Throws also for a text that is too long. */
export function charge(
  args: readonly unknown[],
  { cost = 1, searches }: Pick<Helper, "cost" | "searches">,
  budget: Budget,
): void {
  for (const arg of args) {
    bounded(arg);
    budget.spend((1 + weight(arg)) * cost);
  }
  if (searches) budget.spend(searchWeight(args[0], args[1]));
}

/** The steps for a value and all that is in it, as `json` walks it; shared parts count each time. */
export function wholeWeight(value: unknown, budget: Budget): void {
  const open = [value];
  while (open.length > 0) {
    const next = open.pop();
    budget.spend(1 + (typeof next === "string" ? next.length >> 6 : 0));
    if (typeof next !== "object" || next === null) continue;
    const inner = Object.values(next);
    budget.spend(inner.length);
    for (const item of inner) open.push(item);
  }
}

/** Throws for a text that is longer than a helper takes. */
function bounded(value: unknown): void {
  const plain = unquoted(value);
  if (typeof plain === "string" && plain.length > longestText) {
    throw new Error(`needs ${kindOf(plain)} of at most ${longestText / 1024 / 1024} MB`);
  }
}
