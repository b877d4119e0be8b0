import type { Step } from "./connection.ts";

/** How many nodes a message names. */
const named = 3;

/** The rights that the requests take, as an access list has them: a node's parent says who creates and deletes it. */
export const rights = {
  create: (path: string): string => `c (create) on ${parentOf(path)}`,
  remove: (path: string): string => `d (delete) on ${parentOf(path)}`,
  write: (path: string): string => `w (write) on ${path}`,
  read: (path: string): string => `r (read) on ${path}`,
} as const;

/** The rights that a transaction takes. */
export function rightsOf(steps: readonly Step[]): string {
  const all = [...new Set(steps.map(rightOfOne))];
  const more = all.length > named ? [`the like of ${all.length - named} more`] : [];
  return [...all.slice(0, named), ...more].join(", ");
}

function rightOfOne(step: Step): string {
  if ("create" in step) return rights.create(step.create);
  if ("check" in step) return rights.read(step.check);
  return "write" in step ? rights.write(step.write) : rights.remove(step.remove);
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";
