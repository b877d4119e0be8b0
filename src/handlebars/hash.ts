import { createHash } from "node:crypto";

/** Twelve hexadecimal digits that depend on the value alone. */
export function shortHash(value: string): string {
  return createHash("sha256").update(value).digest("hex").slice(0, 12);
}
