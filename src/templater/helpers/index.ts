import { pureHelpers } from "../../handlebars/pure.ts";
import { regexes } from "../../handlebars/regex.ts";
import { data } from "./data.ts";
import type { Helper } from "./helper.ts";
import { output } from "./output.ts";
import { routing } from "./routes.ts";
import { scratch } from "./scratch.ts";

/** Every helper that templates may call, by name. */
export const helpers: ReadonlyMap<string, Helper> = new Map<string, Helper>(
  Object.entries<Helper>({ ...pureHelpers, ...regexes, ...data, ...output, ...routing, ...scratch }),
);
