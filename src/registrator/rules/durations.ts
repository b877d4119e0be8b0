const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** ms of the longest duration that a label may give: a day. */
const longest = 86_400_000;

/**
 * A duration of a label, e.g. `30s` or `2m`, in ms; a bare number means seconds. Undefined when it is none, or
 * is longer than a day.
 */
export function readDuration(text: string): number | undefined {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? [];
  const ms = Number(amount) * (units[unit] ?? 1);
  return ms <= longest ? ms : undefined;
}
