import { RE2JS } from "re2js";
import type { Budget } from "./budget.ts";
import { type Helper, text, unquoted } from "./helper.ts";

/** Longest pattern and longest text, in characters: names, paths and tags are far shorter. */
const longestPattern = 512;
const longestInput = 16_384;

/** So many patterns stay compiled; templates hold a few, and data could make any number. */
const mostCompiled = 64;
const compiled = new Map<string, RE2JS>();

type Counted = { readonly budget: Budget };

/**
 * Regular expressions in RE2's syntax, which is Go's and so that of consul-template, confd and docker-gen. Not
 * JavaScript's: there, a pattern that looks harmless takes years on a text that somebody chose for it, and
 * nothing can interrupt it. RE2 takes time in proportion to pattern and text.
 */
export const regexes: Readonly<Record<string, Helper<Counted>>> = {
  regexMatch: {
    arity: [2, 2],
    named: [],
    call: ([value, pattern], _, { budget }) => {
      const input = inputOf(value);
      return compile(pattern, input, budget).matcher(input).find();
    },
  },
  regexReplace: {
    arity: [3, 3],
    named: [],
    call: ([value, pattern, replacement], _, { budget }) => {
      const input = inputOf(value);
      const regex = compile(pattern, input, budget);
      const by = text(unquoted(replacement));
      if (by.length > longestPattern)
        throw new Error(`needs a replacement of at most ${longestPattern} characters`);
      try {
        return regex.matcher(input).replaceAll(by, true);
      } catch (cause) {
        throw new Error(
          `cannot replace by ${JSON.stringify(by)}: ${wordsOf(cause)}; groups are $1 or \${name}`,
          {
            cause,
          },
        );
      }
    },
  },
};

function inputOf(value: unknown): string {
  const input = text(unquoted(value));
  if (input.length <= longestInput) return input;
  throw new Error(`needs a text of at most ${longestInput} characters`);
}

function compile(value: unknown, input: string, budget: Budget): RE2JS {
  const pattern = text(unquoted(value));
  if (pattern.length > longestPattern)
    throw new Error(`needs a pattern of at most ${longestPattern} characters`);
  const before = compiled.get(pattern);
  const regex = before ?? parse(pattern);
  // The latest stay.
  compiled.delete(pattern);
  compiled.set(pattern, regex);
  for (const oldest of compiled.keys()) if (compiled.size > mostCompiled) compiled.delete(oldest);
  budget.spend((before ? 1 : 100) + ((regex.programSize() * input.length) >> 4));
  return regex;
}

function parse(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    throw new Error(`cannot read the pattern ${JSON.stringify(pattern)}: ${wordsOf(cause)}`, { cause });
  }
}

function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/^error parsing regexp: /, "");
}
