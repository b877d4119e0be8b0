/** A line of the old configuration that a person has to look at. */
export interface Note {
  /** `file:line`. */
  readonly at: string;
  /** What stands there, on one line. */
  readonly what: string;
  /** Why it was not turned, or what is different now, and the way out. */
  readonly why: string;
  /**
   * `missing`: nothing stands in its place, and the result is incomplete without it. `dropped`: it has no
   * counterpart and needs none. `different`: turned, into something that is not quite the same.
   */
  readonly kind: "missing" | "dropped" | "different";
}

/** What reading tells line by line: `at` is a line from 1. */
export type Tell = (kind: Note["kind"], line: number, what: string, why: string) => void;

/** A text on one line, cut where it gets long. */
export function oneLine(text: string): string {
  const words = text.trim().replace(/\s+/g, " ");
  return words.length > 100 ? `${words.slice(0, 99)}…` : words;
}
