/** How healing is held back. Times in ms. */
export interface HealLimits {
  /** Looks of one host in a row that have to find the same trouble. */
  readonly confirmations: number;
  /** Between two runs of the command. */
  readonly cooldown: number;
  /** Runs of the command within an hour. */
  readonly maxPerHour: number;
}

/** What was found: 1 too many, 2 too few. */
export type Trouble = 1 | 2;

/** The latest look of a host that found trouble. */
interface Look {
  readonly trouble: Trouble;
  /** How many in a row have found the same. */
  readonly count: number;
  readonly at: string;
}

/**
 * What all runs of one check know of those before, wherever they were: the note `heal/<check>` in the backend. Times
 * are RFC 3339 in UTC, by the clock of the host that wrote them.
 */
export interface HealMemory {
  /** Names what is expected: looks that expected something else confirm nothing. */
  readonly expected: string;
  /** By host; a host that has found no trouble is in none. */
  readonly looks: Readonly<Record<string, Look>>;
  /** When the command was begun, as far as that still counts, in order. */
  readonly runs: readonly string[];
}

/** One look of a host. */
export interface NewLook {
  readonly host: string;
  readonly expected: string;
  /** Undefined: all is as expected. */
  readonly trouble: Trouble | undefined;
  readonly now: string;
}

/** Whether the command is due, and why. */
export interface Decision {
  readonly due: boolean;
  readonly why: string;
}

const hour = 3_600_000;

/** ms from one time to another. */
const between = (from: string, to: string) => Date.parse(to) - Date.parse(from);

/**
 * The memory after one more look. Looks more than an hour apart are not in a row. A time that is yet to come, because
 * a clock was wrong, counts as now.
 */
export function afterLook(
  before: HealMemory | undefined,
  { host, expected, trouble, now }: NewLook,
  { cooldown }: Pick<HealLimits, "cooldown">,
): HealMemory {
  const past = (time: string) => (between(time, now) < 0 ? now : time);
  const looks = before?.expected === expected ? before.looks : {};
  const recent = Object.entries(looks)
    .map(([name, look]) => [name, { ...look, at: past(look.at) }] as const)
    .filter(([, { at }]) => between(at, now) <= hour);
  const last = recent.find(([name]) => name === host)?.[1];
  const count = last !== undefined && last.trouble === trouble ? last.count + 1 : 1;
  const others = recent.filter(([name]) => name !== host);
  return {
    expected,
    looks: Object.fromEntries(
      trouble === undefined ? others : [...others, [host, { trouble, count, at: now }] as const],
    ),
    runs: (before?.runs ?? [])
      .map(past)
      .filter((time) => between(time, now) < Math.max(hour, cooldown))
      .sort(),
  };
}

/** Whether the command is due by what is remembered. */
export function decide(
  { looks, runs }: HealMemory,
  { host, now }: Pick<NewLook, "host" | "now">,
  { confirmations, cooldown, maxPerHour }: HealLimits,
): Decision {
  const count = looks[host]?.count ?? 0;
  if (count < confirmations) return { due: false, why: `confirmed ${count} of ${confirmations} times` };
  const last = runs.at(-1);
  if (last !== undefined && between(last, now) < cooldown) {
    return { due: false, why: `it ran at ${last}, and --cooldown is ${cooldown / 1000} s` };
  }
  const within = runs.filter((time) => between(time, now) < hour).length;
  if (within >= maxPerHour)
    return { due: false, why: `it ran ${within} times within an hour, and --max-per-hour is ${maxPerHour}` };
  return { due: true, why: `confirmed ${count} times` };
}

/** The memory when the command begins: what comes after it has to be confirmed anew, by every host. */
export function afterRun(memory: HealMemory, now: string): HealMemory {
  return { ...memory, looks: {}, runs: [...memory.runs, now] };
}

/** The memory as its note, JSON; undefined where there is nothing to remember. */
export function encodeMemory({ expected, looks, runs }: HealMemory): string | undefined {
  const hosts = Object.entries(looks).sort(([a], [b]) => (a < b ? -1 : 1));
  if (hosts.length === 0 && runs.length === 0) return undefined;
  return JSON.stringify({ expected, looks: Object.fromEntries(hosts), runs });
}

/** Reads a note. One that cannot be read may have told of a run a moment ago, so it counts as one. */
export function decodeMemory(text: string, now: string): HealMemory {
  try {
    const { expected, looks, runs } = JSON.parse(text) as Partial<HealMemory>;
    const isTime = (time: unknown) => typeof time === "string" && Number.isFinite(Date.parse(time));
    const isLook = ({ trouble, count, at }: Look) =>
      (trouble === 1 || trouble === 2) && Number.isInteger(count) && isTime(at);
    if (typeof expected === "string" && Object.values(looks ?? {}).every(isLook) && runs?.every(isTime))
      return { expected, looks: looks ?? {}, runs };
  } catch {}
  return { expected: "", looks: {}, runs: [now] };
}
