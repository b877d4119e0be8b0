import { PortolanError } from "../errors.ts";

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The longest duration in ms: more does not fit a timer of Node.js, which would then fire at once. */
const longest = 576 * 3_600_000;

/**
 * A duration such as `250ms`, `15s`, `2m` or `1h` in ms. A number without a unit is taken as seconds when
 * `bare` says so, as registrator did; else only `0` needs no unit. Throws USAGE.
 */
export function parseDuration(text: string, bare?: "seconds"): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new PortolanError("USAGE", `"${text}" is not a duration; write e.g. 250ms, 15s, 2m or 1h`);
  }
  if (unit === undefined && bare === undefined && Number(amount) !== 0) {
    throw new PortolanError("USAGE", `"${text}" has no unit; write ${text}s or ${text}ms`);
  }
  const ms = Number(amount) * (units[unit ?? "s"] ?? 1);
  if (ms > longest) throw new PortolanError("USAGE", `"${text}" is too long; the most is 576h`);
  return ms;
}

/** A duration of at least `least` ms. Throws USAGE. */
export function parseAtLeast(least: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms >= least) return ms;
    throw new PortolanError("USAGE", `"${text}" is too short; the least is ${least}ms`);
  };
}

/** A duration of at least `least` ms, or 0, which means none; a bare number means seconds. Throws USAGE. */
export function parseNoneOrFrom(least: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text, "seconds");
    if (ms > 0 && ms < least) {
      throw new PortolanError(
        "USAGE",
        `"${text}" is too short; the least is ${least / 1000}s, and 0 means none`,
      );
    }
    return ms;
  };
}
