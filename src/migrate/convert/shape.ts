/** What is known of a value: which fields it has in Go, and what they are here. */
export type Shape =
  | { readonly kind: "number" | "truth" }
  /** `through`: it is an object here, and the text what this helper gives of it. */
  | { readonly kind: "text"; readonly through?: string }
  /** Parsed from somewhere, e.g. JSON: its fields have the names that they have there. */
  | { readonly kind: "any" }
  /** Where Go has nothing that we know of, e.g. the dot at the top of a template of consul-template. */
  | { readonly kind: "nothing"; readonly why: string }
  /** `sorted`: Go has its texts in the order of their letters, and here they stand as they were registered. */
  | {
      readonly kind: "list";
      readonly of: Shape;
      readonly fields?: Readonly<Record<string, Field>>;
      readonly sorted?: true;
    }
  /** The process's variables: a field is a call of `env`. */
  | { readonly kind: "environment" }
  | { readonly kind: "map"; readonly of: Shape }
  | { readonly kind: "record"; readonly name: string; readonly fields: Readonly<Record<string, Field>> };

/** Where a field of Go's stands here, as a path from the same value; empty: the value itself. */
export type Field =
  | { readonly to: string; readonly shape: Shape; readonly maybe?: true }
  | { readonly make: (of: Value) => Value }
  | { readonly refused: string };

export const text: Shape = { kind: "text" };
export const number: Shape = { kind: "number" };
export const truth: Shape = { kind: "truth" };
export const any: Shape = { kind: "any" };
export const listOf = (of: Shape): Shape => ({ kind: "list", of });
export const mapOf = (of: Shape): Shape => ({ kind: "map", of });

/** What a value may be that is one or the other. */
export function mixed(a: Shape, b: Shape): Shape {
  if (a === b) return a;
  if (a.kind === "list" && b.kind === "list") return listOf(mixed(a.of, b.of));
  if (a.kind === "map" && b.kind === "map") return mapOf(mixed(a.of, b.of));
  if (a.kind === b.kind && a.kind !== "record") return a;
  return holdsRecords(a) || holdsRecords(b)
    ? { kind: "nothing", why: "it is of several kinds, whose fields have other names here" }
    : any;
}

/** Whether there are fields in it whose names are Go's. */
export function holdsRecords(shape: Shape): boolean {
  if (shape.kind === "list" || shape.kind === "map") return holdsRecords(shape.of);
  return shape.kind === "record";
}

/** A value in a Handlebars expression. */
export interface Value {
  /** A path, a literal, or a call in parentheses. */
  readonly code: string;
  readonly shape: Shape;
  /** It may have no value, where Go prints the empty text. */
  readonly maybe?: boolean;
  /** What a literal stands for. */
  readonly literal?: string;
  /** It is the same wherever it stands: it has nothing of the context in it. */
  readonly free?: boolean;
  /** Of a key with its folder: the key alone. */
  readonly base?: Value;
  /** Of a dot: the name that its block has given it. */
  readonly alias?: string;
  /** May be several lines of somebody's own: to be printed as it is. */
  readonly raw?: boolean;
  /** What is printed in its place, piece by piece, so that each is admitted alone. */
  readonly pieces?: readonly (string | Value)[];
  /** The texts of a list that is written out. */
  readonly items?: readonly string[];
  /** The separator, where it is a list that is joined. */
  readonly joins?: { readonly list: Value; readonly separator: string };
}

/** Something that has no counterpart; the message says why, and the way out. */
export class NotTurned extends Error {
  /** What it would have given, where that is known: what reads it is turned all the same. */
  readonly gives: Shape | undefined;

  constructor(message: string, gives?: Shape) {
    super(message);
    this.gives = gives;
  }
}
