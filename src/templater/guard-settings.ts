/** What a target does not believe, or not at once. */
export interface GuardSettings {
  /** The part of a service's ready instances, 0 to 1, that may go without anybody having said so. */
  readonly maxDrop: number;
  /** ms that a larger drop, or one to zero, is held; 0: nothing is held. */
  readonly hold: number;
  /** How many ready instances a service keeps, whatever the backend says. */
  readonly min: Readonly<Record<string, number>>;
  /** Services of which the last ready instance is kept; true: all that the template reads. */
  readonly requireNonEmpty: true | readonly string[];
  /** Services that keep what they had while not exactly one ready instance is their master. */
  readonly oneMaster: readonly string[];
}

/** What counts unless the configuration says otherwise. */
export const defaultGuard: GuardSettings = {
  maxDrop: 0.5,
  hold: 15_000,
  min: {},
  requireNonEmpty: [],
  oneMaster: [],
};

/** What the targets of a group ask for together: the strictest of each. */
export function strictest(all: readonly Partial<GuardSettings>[]): GuardSettings {
  const [first = defaultGuard, ...others] = all.map((one) => ({ ...defaultGuard, ...one }));
  return others.reduce(
    (a, b) => ({
      maxDrop: Math.min(a.maxDrop, b.maxDrop),
      hold: Math.max(a.hold, b.hold),
      min: mostOf(a.min, b.min),
      requireNonEmpty:
        a.requireNonEmpty === true || b.requireNonEmpty === true
          ? true
          : [...a.requireNonEmpty, ...b.requireNonEmpty],
      oneMaster: [...a.oneMaster, ...b.oneMaster],
    }),
    first,
  );
}

function mostOf(a: GuardSettings["min"], b: GuardSettings["min"]): GuardSettings["min"] {
  const names = [...Object.keys(a), ...Object.keys(b)];
  return Object.fromEntries(names.map((name) => [name, Math.max(a[name] ?? 0, b[name] ?? 0)]));
}
