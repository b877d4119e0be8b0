import type { ShownInstance } from "../daemon-status.ts";
import type { Instance } from "../instance.ts";

/** An instance as a status page shows it: of its checks just the keys, since headers, bodies and URLs hold secrets. */
export function statusRecord({ checks, ...record }: Instance): ShownInstance {
  return checks === undefined ? record : { ...record, checks: Object.keys(checks) };
}
