/** Go's text/template as a tree. Every `line` counts from 1, every `source` is the action as it is written. */

/** What stands in an action and has a value. `a | b c` is the call `b c a`. */
export type Expression = { readonly line: number } & (
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "number"; readonly value: string }
  | { readonly kind: "word"; readonly value: "true" | "false" | "nil" }
  | { readonly kind: "dot" }
  /** `$` is the variable with the empty name. */
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "field"; readonly of: Expression; readonly names: readonly string[] }
  /** A function of the vocabulary, e.g. `service "web"`. */
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  /** A value that gets arguments, e.g. `scratch.Set "a" 1`. */
  | { readonly kind: "method"; readonly of: Expression; readonly args: readonly Expression[] }
);

/** `$x := …` and `$x = …`; one of `range` may have two names. */
export interface Declaration {
  readonly names: readonly string[];
  readonly assigns: boolean;
}

/** The inside of an action. */
export interface Pipeline {
  readonly declares?: Declaration;
  readonly value: Expression;
}

/** One way through an `if` or `with`. */
export interface Branch {
  readonly kind: "if" | "with";
  readonly line: number;
  readonly source: string;
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
}

/** A piece of a template. Text has been trimmed as the markers of the actions around it ask. */
export type Node = { readonly line: number } & (
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "comment"; readonly text: string }
  | { readonly kind: "print"; readonly source: string; readonly pipeline: Pipeline }
  | {
      readonly kind: "choice";
      readonly branches: readonly [Branch, ...Branch[]];
      readonly otherwise: readonly Node[] | undefined;
    }
  | {
      readonly kind: "range";
      readonly source: string;
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[] | undefined;
    }
  | {
      readonly kind: "include";
      readonly source: string;
      readonly name: string;
      readonly value: Expression | undefined;
    }
  | { readonly kind: "leave"; readonly source: string }
);

/** A template and those that it defines. */
export interface GoTemplate {
  readonly nodes: readonly Node[];
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}
