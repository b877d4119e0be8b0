import { type Helper, number, pure } from "./helper.ts";

/** A list for `{{#each}}` is longer than this only by mistake. */
const mostNumbers = 100_000;

/** Whole numbers from `first` up to `end`, which is not one of them. */
function upTo(first: number, end: number): readonly number[] {
  if (!Number.isInteger(first) || !Number.isInteger(end)) throw new Error("needs whole numbers");
  if (end - first > mostNumbers) throw new Error(`gives at most ${mostNumbers} numbers, not ${end - first}`);
  return Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
}

function notZero(value: unknown): number {
  const read = number(value);
  if (read === 0) throw new Error("cannot divide by 0");
  return read;
}

/** Calculating, in the order in which one writes it: `(sub 5 2)` is 3. */
export const numbers: Readonly<Record<string, Helper>> = {
  add: pure(2, 2, (a, b) => number(a) + number(b)),
  sub: pure(2, 2, (a, b) => number(a) - number(b)),
  mul: pure(2, 2, (a, b) => number(a) * number(b)),
  // As in Go, and so in the tools that templates come from: whole numbers give a whole number.
  div: pure(2, 2, (a, b) => {
    const [above, below] = [number(a), notZero(b)];
    const result = above / below;
    return Number.isInteger(above) && Number.isInteger(below) ? Math.trunc(result) : result;
  }),
  mod: pure(2, 2, (a, b) => number(a) % notZero(b)),
  min: pure(1, 20, (...all) => Math.min(...all.map(number))),
  max: pure(1, 20, (...all) => Math.max(...all.map(number))),
  seq: pure(1, 2, (...[first, last]) =>
    last === undefined ? upTo(1, number(first) + 1) : upTo(number(first), number(last) + 1),
  ),
  range: pure(1, 2, (...[first, end]) =>
    end === undefined ? upTo(0, number(first)) : upTo(number(first), number(end)),
  ),
};
