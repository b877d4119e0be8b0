import { compare } from "../instance.ts";
import { type Helper, number, pure, truthy } from "./helper.ts";

/** Equal as they would be printed, so that the port 80 equals the text 80. Never true of lists and objects. */
export function equal(a: unknown, b: unknown): boolean {
  return a === b || (isScalar(a) && isScalar(b) && String(a) === String(b));
}

/** Order of numbers by size, of anything else by its text. What is missing comes first. */
export function order(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return compare(isScalar(a) ? String(a) : "", isScalar(b) ? String(b) : "");
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** Comparisons and conditions, to be nested: `{{#if (and (eq role "master") (gt weight 0))}}`. */
export const logic: Readonly<Record<string, Helper>> = {
  eq: pure(2, 2, equal),
  ne: pure(2, 2, (a, b) => !equal(a, b)),
  lt: pure(2, 2, (a, b) => number(a) < number(b)),
  gt: pure(2, 2, (a, b) => number(a) > number(b)),
  // As in Go's templates: the first argument that decides, not just true or false.
  and: pure(1, 20, (...args) => args.at(args.findIndex((arg) => !truthy(arg)))),
  or: pure(1, 20, (...args) => args.find(truthy) ?? args.at(-1)),
  not: pure(1, 1, (a) => !truthy(a)),
  default: pure(2, 2, (value, other) => (isMissing(value) ? other : value)),
  coalesce: pure(1, 20, (...args) => args.find((arg) => !isMissing(arg)) ?? null),
};

/** What `default` replaces: no value and the empty text, but neither 0 nor false. */
function isMissing(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}
