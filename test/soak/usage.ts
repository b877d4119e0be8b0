import type { SoakDaemon, Usage } from "./daemon.ts";

/** Samples of what a process uses, once a second. */
export interface Recording {
  readonly name: string;
  readonly samples: Usage[];
  stop(): void;
}

/** Records one process until `stop`. */
export function recordUsage(daemon: SoakDaemon): Recording {
  const samples: Usage[] = [];
  const timer = setInterval(() => {
    const usage = daemon.usage();
    if (usage) samples.push(usage);
  }, 1_000);
  return { name: daemon.name, samples, stop: () => clearInterval(timer) };
}

/** One quantity in the first and in the last third of a life. */
export interface Trend {
  readonly process: string;
  readonly what: keyof Usage;
  readonly first: number;
  readonly last: number;
  readonly flat: boolean;
}

/** Fewer samples (seconds) say nothing: a process that has just started still grows. */
const enough = 30;

/**
 * How much more the last third may have than the first: a share, and an amount. A burst leaves as many idle
 * connections as there may be writes in flight at once, which is 16.
 */
const allowed: Readonly<Record<keyof Usage, { readonly share: number; readonly amount: number }>> = {
  memory: { share: 0.15, amount: 10 },
  descriptors: { share: 0, amount: 18 },
  children: { share: 0, amount: 1 },
};

/** Medians of the first and the last third; none for a life that was too short. */
export function trendsOf({ name, samples }: Recording): readonly Trend[] {
  if (samples.length < enough) return [];
  const third = Math.floor(samples.length / 3);
  return (Object.keys(allowed) as (keyof Usage)[]).map((what) => {
    const first = median(samples.slice(0, third).map((sample) => sample[what]));
    const last = median(samples.slice(-third).map((sample) => sample[what]));
    const { share, amount } = allowed[what];
    return { process: name, what, first, last, flat: last <= first * (1 + share) + amount };
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
