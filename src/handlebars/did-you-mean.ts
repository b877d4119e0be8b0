import { close } from "../nearest.ts";

/** `; did you mean "…"?`, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const guess = close(name, known);
  return guess === undefined ? "" : `; did you mean "${guess}"?`;
}
