import type { Budget } from "../handlebars/budget.ts";
import type { World } from "./view.ts";

/** What one turn of an `{{#each}}` gave. */
interface Fragment {
  /** What it read besides its item, the environment and the node. */
  readonly read: readonly unknown[];
  readonly text: string;
  /** What it takes of the budget, remembered or not: equal worlds give equal results. */
  readonly steps: number;
}

/** The turns of one `{{#each}}`, by their items. */
export type Turns = WeakMap<object, Fragment>;

/**
 * What a template has rendered before. Whatever did not change in the world is the same object as before, so a turn
 * for the same item that reads the same gives the same text.
 */
export interface Fragments {
  /** What there is of the `{{#each}}` at this place. */
  at(place: string): Turns;
}

/** What to render in a world with: the fragments of one template, and none where environment or node are others. */
export function createFragments(): (world: Pick<World, "env" | "node">) => Fragments {
  let seen: Pick<World, "env" | "node"> | undefined;
  let places = new Map<string, Turns>();
  const fragments: Fragments = {
    at(place) {
      const turns = places.get(place) ?? new WeakMap();
      places.set(place, turns);
      return turns;
    },
  };
  return ({ env, node }) => {
    if (seen?.env !== env || seen.node !== node) places = new Map();
    seen = { env, node };
    return fragments;
  };
}

/** The text of a turn: as it was, or rendered and remembered. What is thrown is not remembered. */
export function turnOf(
  turns: Turns,
  item: unknown,
  read: readonly unknown[],
  budget: Budget,
  render: () => string,
): string {
  if (typeof item !== "object" || item === null) return render();
  const before = turns.get(item);
  if (before?.read.length === read.length && before.read.every((value, at) => value === read[at])) {
    budget.spend(before.steps);
    return before.text;
  }
  const spent = budget.spent();
  const text = render();
  // What was put together from pieces stays pieces until it is read, and would be put together in each text anew.
  text.charCodeAt(0);
  turns.set(item, { read, text, steps: budget.spent() - spent });
  return text;
}
