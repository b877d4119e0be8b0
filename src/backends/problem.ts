import { coded } from "../errors.ts";
import type { Problem } from "../source.ts";

/** Why what is watched of a store may be stale: a right that is missing, else an outage. */
export function problemOf(cause: unknown): Problem {
  const error = coded("BACKEND_UNREACHABLE", cause);
  return { kind: error.code === "BACKEND_DENIED" ? "denied" : "unreachable", error };
}
