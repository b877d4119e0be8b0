import type { Override } from "../../override.ts";
import { isAbout, withOverrides } from "./apply.ts";
import { createTerms } from "./terms.ts";
import type { Wanted } from "./watch.ts";

/** What operators wanted when these overrides were read, and nothing of what was over by then. */
export function fixedOverrides(read: readonly Override[]): Wanted {
  const overrides = standingNow(read);
  return {
    isReady: () => true,
    apply: (registered) => withOverrides(registered, overrides),
    explainsDrain: (record) => overrides.some((one) => one.drain !== undefined && isAbout(one, record)),
    revision: () => 0,
  };
}

/** The overrides without what is over now. */
export function standingNow(overrides: readonly Override[]): readonly Override[] {
  const { standing } = createTerms();
  return overrides.map(standing).filter(({ tags, drain }) => tags || drain);
}
