import { basename } from "node:path";
import { sha256 } from "./hash.ts";

/** The file name of what the state folder keeps of some destinations: the first one's for people, and a hash of all. */
export function keptName(destinations: readonly string[]): string {
  const name = basename(destinations[0] ?? "").replace(/[^\w.-]/g, "_");
  return `${name.slice(0, 100)}.${sha256(destinations.join("\0")).slice(0, 16)}`;
}
