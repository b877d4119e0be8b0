import { expect, it } from "vitest";
import { splitWords } from "../../src/backends/words.ts";

it.each([
  ["", []],
  ["  a   b\tc\n", ["a", "b", "c"]],
  [`a 'b c' "d e"`, ["a", "b c", "d e"]],
  [`a"b c"d`, ["ab cd"]],
  [`'' ""`, ["", ""]],
  [`a\\ b`, ["a b"]],
  [`"a\\"b\\c\\\\"`, [`a"b\\c\\`]],
  [`'a\\b'`, ["a\\b"]],
  [`a\\`, ["a\\"]],
  ["$(rm -rf /) `x` *; y && z | w > f", "$(rm -rf /) `x` *; y && z | w > f".split(" ")],
  [`a 'b`, undefined],
  [`a "b\\"`, undefined],
])("splits %j", (line, words) => {
  expect(splitWords(line)).toEqual(words);
});
