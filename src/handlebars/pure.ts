import { encodings } from "./encodings.ts";
import type { Helper } from "./helper.ts";
import { lists } from "./lists.ts";
import { logic } from "./logic.ts";
import { numbers } from "./numbers.ts";
import { texts } from "./text.ts";

/** The helpers that compute from their arguments alone, by name: every template has them. */
export const pureHelpers: Readonly<Record<string, Helper>> = {
  ...lists,
  ...logic,
  ...numbers,
  ...texts,
  ...encodings,
};
