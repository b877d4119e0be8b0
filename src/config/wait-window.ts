import { PortolanError } from "../errors.ts";
import { parseDuration } from "./duration.ts";

/**
 * When a change is applied, in ms: the first after quiet after `min`; a storm is bounded by `max`. What is found at the
 * start is no change.
 */
export interface WaitWindow {
  readonly min: number;
  readonly max: number;
}

/** The window unless somebody says otherwise. */
export const defaultWait: WaitWindow = { min: 25, max: 2000 };

/** `MIN[:MAX]`; without MAX it is four times MIN, as in consul-template. Throws USAGE. */
export function parseWait(text: string): WaitWindow {
  const [min = "", max, ...more] = text.split(":");
  if (more.length > 0) throw new PortolanError("USAGE", `"${text}" is not MIN[:MAX]; write e.g. 25ms:2s`);
  return waitWindow(parseDuration(min), max === undefined ? undefined : parseDuration(max));
}

/** The window with what is left out filled in. Throws USAGE when `max` is less than `min`. */
export function waitWindow(min: number | undefined, max: number | undefined): WaitWindow {
  const low = min ?? Math.min(defaultWait.min, max ?? defaultWait.min);
  const high = max ?? (min === undefined ? defaultWait.max : 4 * min);
  if (high < low)
    throw new PortolanError("USAGE", `the longest wait, ${high} ms, is less than the shortest, ${low} ms`);
  return { min: low, max: high };
}
