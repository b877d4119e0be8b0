/**
 * A piece of a Handlebars template, before it is written down. Text is what the file will hold, to the letter; how
 * Handlebars treats lines that hold nothing but a tag is the concern of `layout.ts`.
 */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  /** Prints something, or puts it aside. The code has no braces. */
  | { readonly kind: "mustache"; readonly code: string; readonly raw?: boolean }
  | { readonly kind: "comment"; readonly text: string }
  | { readonly kind: "partial"; readonly code: string }
  | { readonly kind: "block"; readonly name: string; readonly parts: readonly Part[] };

/** `#if x`, `else if y`, `else`, and what follows it. */
export interface Part {
  readonly tag: string;
  readonly body: readonly Piece[];
}
