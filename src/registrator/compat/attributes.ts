import type { ContainerPort } from "../docker/container.ts";
import { limits, whyNoCheck, whyNoKey, whyNoValue } from "../rules/limits.ts";
import type { Notes } from "../rules/notes.ts";
import type { Origins } from "../rules/outcome.ts";
import type { Metadata } from "./metadata.ts";

/** What a container says besides name, id and tags. */
export interface Attributes {
  readonly meta: Readonly<Record<string, string>>;
  /** By key without `check_`. */
  readonly checks: Readonly<Record<string, string>>;
  readonly origins: Origins;
}

/**
 * Everything that is no name, id or tag list is an attribute, an empty `ignore` too; `check_…` is for the
 * registry's checks. What is given under no key at all (`SERVICE_=x`) is left out: no registry takes it. What no
 * backend can hold is left out and noted.
 */
export function attributesOf(metadata: Metadata, port: ContainerPort, notes: Notes): Attributes {
  const meta: Record<string, string> = {};
  const checks: Record<string, string> = {};
  const origins: Record<string, string> = {};
  let size = 0;
  for (const [key, given] of metadata.entries()) {
    if (/^(name|id|tags|)$/.test(key)) continue;
    const check = /^check_(.+)$/s.exec(key)?.[1];
    if (check !== undefined && given.value === "") continue;
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(given.value);
    const whyKey = whyNoKey(check ?? key);
    const why =
      (whyKey && `its key ${whyKey}`) ??
      (check === undefined ? whyNoValue : whyNoCheck)(given.value) ??
      (size + bytes > limits.meta
        ? `all attributes together are longer than ${limits.meta} bytes`
        : undefined);
    if (why !== undefined) {
      notes.refused(given, `${why}; change it (it is left out)`, port);
      continue;
    }
    size += bytes;
    if (check === undefined) meta[key] = given.value;
    else checks[check] = given.value;
    origins[check === undefined ? `meta.${key}` : `checks.${check}`] = given.from;
  }
  return { meta, checks, origins };
}
