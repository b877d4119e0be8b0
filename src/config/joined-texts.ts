import type { ConfigText } from "./config-text.ts";

/** Several texts as one configuration. */
export interface JoinedTexts {
  readonly raw: unknown;
  /** `file:line:column: key.path: what is wrong` of what cannot be joined. */
  readonly mistakes: readonly string[];
  /** Where the value at a key path stands: one place, or where it was joined from; else its nearest parent. */
  places(path: readonly PropertyKey[]): readonly Place[];
}

/** A place in one of several texts. */
export interface Place {
  readonly text: ConfigText;
  readonly offset: number;
}

/** What one text says at a key path of its own. */
interface Piece {
  readonly text: ConfigText;
  readonly path: readonly PropertyKey[];
  readonly value: unknown;
}

/** What all texts together say at a key path. */
interface Joined {
  readonly value: unknown;
  readonly pieces: readonly Piece[];
  /** What was joined is found by its key, or index, here. */
  readonly inner: ReadonlyMap<string, Joined>;
}

/**
 * Mappings are joined key by key, lists one after the other, in the order of the texts. Anything else that two texts say
 * is a mistake. A key without a value says nothing.
 */
export function joinTexts(texts: readonly ConfigText[]): JoinedTexts {
  const mistakes: string[] = [];
  const roots = texts.flatMap((text): readonly Piece[] => {
    if (text.raw === undefined) return [];
    if (isMapping(text.raw)) return [{ text, path: [], value: text.raw }];
    mistakes.push(`${text.at(text.offset([]))}: it is not a mapping of keys to values`);
    return [];
  });
  const whole = join(roots, ({ text, path }, first) => {
    const earlier = first.text.at(first.text.offset(first.path));
    mistakes.push(`${text.at(text.offset(path))}: ${keyPath(path)}: it is set at ${earlier}, too`);
  });

  return {
    raw: whole.value,
    mistakes,
    places(path) {
      let found = whole;
      let depth = 0;
      for (const step of path) {
        const next = found.inner.get(String(step));
        if (next === undefined) break;
        found = next;
        depth += 1;
      }
      const rest = path.slice(depth);
      // What is missing in something that was joined is said of its first text.
      const pieces = rest.length > 0 ? found.pieces.slice(0, 1) : found.pieces;
      return pieces.map(({ text, path: own }) => ({ text, offset: text.offset([...own, ...rest]) }));
    },
  };
}

/** `clash` is told of each piece that cannot stand beside the first. */
function join(pieces: readonly Piece[], clash: (piece: Piece, first: Piece) => void): Joined {
  const [first, ...more] = pieces;
  if (first === undefined || more.length === 0) return { value: first?.value, pieces, inner: new Map() };
  if (pieces.every(({ value }) => isMapping(value))) {
    const keys = new Set(pieces.flatMap(({ value }) => Object.keys(value as object)));
    const inner = new Map([...keys].map((key) => [key, join(piecesAt(pieces, key), clash)] as const));
    const value = Object.fromEntries([...inner].map(([key, joined]) => [key, joined.value]));
    return { value, pieces, inner };
  }
  if (pieces.every(({ value }) => Array.isArray(value))) {
    const items = pieces.flatMap(({ text, path, value }) =>
      (value as readonly unknown[]).map(
        (item, index): Piece => ({ text, path: [...path, index], value: item }),
      ),
    );
    const inner = new Map(items.map((item, index) => [String(index), join([item], clash)] as const));
    return { value: items.map(({ value }) => value), pieces, inner };
  }
  for (const piece of more) clash(piece, first);
  return { value: first.value, pieces: [first], inner: new Map() };
}

/** What the pieces say at a key of theirs. */
function piecesAt(pieces: readonly Piece[], key: string): readonly Piece[] {
  const all = pieces.flatMap(({ text, path, value }): readonly Piece[] => {
    const inner = (value as Readonly<Record<string, unknown>>)[key];
    return inner === undefined ? [] : [{ text, path: [...path, key], value: inner }];
  });
  const said = all.filter(({ value }) => value !== null);
  return said.length > 0 ? said : all.slice(0, 1);
}

function isMapping(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `templater.templates[0].source`. */
export function keyPath(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .slice(1);
}
