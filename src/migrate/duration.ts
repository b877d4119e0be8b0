const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** ms of a duration as Go writes it, `1m30s`, or of a number of seconds; undefined when it is none. */
export function goDuration(text: string): number | undefined {
  const word = text.trim();
  if (/^\d+(\.\d+)?$/.test(word)) return Number(word) * 1000;
  const parts = [...word.matchAll(/(\d+(?:\.\d+)?)(ns|us|\u00b5s|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== word) return undefined;
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? 0), 0);
}

/** A duration as our configuration writes it. */
export function ourDuration(ms: number): string {
  return ms >= 1000 && ms % 1000 === 0 ? `${ms / 1000}s` : `${Math.max(0, Math.round(ms))}ms`;
}

/** `MIN[:MAX]`, where MAX is four times MIN if it is not said; undefined when it is none. */
export function waitOf(text: string): { readonly min: string; readonly max: string } | undefined {
  const [first = "", second] = text.split(":");
  const min = goDuration(first);
  const max = second === undefined ? (min ?? 0) * 4 : goDuration(second);
  return min === undefined || max === undefined
    ? undefined
    : { min: ourDuration(min), max: ourDuration(max) };
}
