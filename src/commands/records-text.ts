import { encodeInstance, type Instance } from "../instance.ts";

/** A JSON array with one record a line. */
export function recordsText(instances: readonly Instance[]): string {
  return instances.length === 0 ? "[]\n" : `[\n${instances.map(encodeInstance).join(",\n")}\n]\n`;
}
