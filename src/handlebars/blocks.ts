import { compare } from "../instance.ts";
import { longestOutput, tooLong } from "./budget.ts";
import { kindOf, list, truthy } from "./helper.ts";

/** A piece of template between `{{#…}}` and `{{/…}}`, to be rendered for a value. */
export type Body = (value: unknown, frame?: Frame, blockParams?: readonly unknown[]) => string;

/** What `@index` and the like are for one piece. */
export interface Frame {
  readonly key: string | number;
  readonly index: number;
  readonly first: boolean;
  readonly last: boolean;
}

/** How a block decides what to render: `then` for a value, or `otherwise`. */
export type Block = (value: unknown, then: Body, otherwise: () => string, here: unknown) => string;

/**
 * The blocks of Handlebars, but a list that is not there is a mistake: a misspelt name must not render a file
 * without servers. `if` and `unless` may ask for what is not there.
 */
export const blocks: Readonly<Record<string, Block>> = {
  if: (value, then, otherwise, here) => (truthy(value) ? then(here) : otherwise()),
  unless: (value, then, otherwise, here) => (truthy(value) ? otherwise() : then(here)),
  with: (value, then, otherwise) => {
    if (value === undefined) throw new Error(`needs a value, not ${kindOf(value)}`);
    return truthy(value) ? then(value, undefined, [value]) : otherwise();
  },
  each: (value, then, otherwise) => {
    const entries = entriesOf(value);
    if (entries.length === 0) return otherwise();
    let out = "";
    entries.forEach(([key, item], index) => {
      const frame = { key, index, first: index === 0, last: index === entries.length - 1 };
      out += then(item, frame, [item, key]);
      if (out.length > longestOutput) throw new Error(tooLong);
    });
    return out;
  },
};

function entriesOf(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    // Equal worlds give equal bytes, in whatever order a backend has put the keys.
    return Object.entries(value).sort(([a], [b]) => byKey(a, b));
  }
  return [...list(value).entries()];
}

/** Ports and other whole numbers by size and before names. */
function byKey(a: string, b: string): number {
  const [x, y] = [/^\d{1,9}$/.test(a), /^\d{1,9}$/.test(b)];
  return x && y ? Number(a) - Number(b) : Number(y) - Number(x) || compare(a, b);
}
