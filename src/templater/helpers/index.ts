import { data } from "./data.ts";
import type { Helper } from "./helper.ts";
import { lists } from "./lists.ts";
import { logic } from "./logic.ts";
import { output } from "./output.ts";
import { routing } from "./routes.ts";
import { texts } from "./text.ts";

/** Every helper that templates may call, by name. */
export const helpers: ReadonlyMap<string, Helper> = new Map(
  Object.entries({ ...data, ...lists, ...logic, ...texts, ...output, ...routing }),
);
