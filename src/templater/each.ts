import { basename, dirname, join } from "node:path";
import { decodeSegment, encodeSegment } from "../instance.ts";
import type { Target } from "./target.ts";

/** What stands for the name of a service in the destination of a target that writes a file for each. */
export const placeholder = "{{name}}";

/** Bytes that file systems take for the name of a file. */
const longest = 255;

/** The file of a service; undefined when its name is longer than file systems take. */
export function fileOf({ destination }: Pick<Target, "destination">, service: string): string | undefined {
  const name = basename(destination).replace(placeholder, () => encodeSegment(service));
  return Buffer.byteLength(name) > longest ? undefined : join(dirname(destination), name);
}

/** Whether a path is that of a service's file. */
export function isFileOf({ destination }: Pick<Target, "destination">, path: string): boolean {
  const [before = "", after = ""] = basename(destination).split(placeholder);
  const name = basename(path);
  if (dirname(path) !== dirname(destination) || name.length <= before.length + after.length) return false;
  if (!name.startsWith(before) || !name.endsWith(after)) return false;
  const part = name.slice(before.length, name.length - after.length);
  try {
    return encodeSegment(decodeSegment(part)) === part;
  } catch {
    return false;
  }
}

/** Whether two destinations, with or without a placeholder each, may name one file. */
export function mayMeet(a: string, b: string): boolean {
  if (a === b) return true;
  const [beforeA = "", afterA] = a.split(placeholder);
  const [beforeB = "", afterB] = b.split(placeholder);
  if (afterA === undefined && afterB === undefined) return false;
  if (dirname(a) !== dirname(b)) return false;
  if (afterA === undefined) return isFileOf({ destination: b }, a);
  if (afterB === undefined) return isFileOf({ destination: a }, b);
  const begin = beforeA.startsWith(beforeB) || beforeB.startsWith(beforeA);
  return begin && (afterA.endsWith(afterB) || afterB.endsWith(afterA));
}

/** The target of one file of a target that writes several: they swap together, and reload once. */
export function targetOf(target: Target, destination: string): Target {
  if (target.forEach === undefined) return target;
  return {
    ...target,
    destination,
    group: target.group ?? `each ${target.destination}`,
    partOf: target.destination,
  };
}
