import { compare } from "../instance.ts";

/** A tree with its names in order. */
export function inKeyOrder(entries: Iterable<readonly [string, string]>): ReadonlyMap<string, string> {
  return new Map([...entries].sort(([a], [b]) => compare(a, b)));
}

/** The entries of a tree that stand directly below its path. */
export function directlyBelow(tree: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...tree].filter(([name]) => !name.includes("/")));
}

/** `next`, or `previous` where they say the same. */
export function shareTree(
  previous: ReadonlyMap<string, string> | undefined,
  next: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const same = previous?.size === next.size && [...next].every(([name, text]) => previous.get(name) === text);
  return same && previous ? previous : next;
}

/** A path without the slashes at its end, which mean nothing. */
export function trimmed(path: string): string {
  return path.replace(/\/+$/, "");
}
