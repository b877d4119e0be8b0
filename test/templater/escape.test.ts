import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { whyRefused } from "../../src/templater/escape/admit.ts";
import type { Format } from "../../src/templater/escape/format.ts";
import { type Position, positionAt, scan, scanStart } from "../../src/templater/escape/position.ts";
import { jsonText, quoteWord, whyUnquotable } from "../../src/templater/escape/quote.ts";
import { slugOf } from "../../src/templater/escape/slug.ts";
import fc from "../property.ts";

const anyText = fc.string({ unit: "binary" });

describe("whyRefused", () => {
  it.each<readonly [Format, string, string | undefined]>([
    ["haproxy", "Az09._:/@+,=[]-", undefined],
    ["haproxy", "", undefined],
    ["haproxy", "a b", "holds a space"],
    ["haproxy", "a\nb", "holds a line break"],
    ["haproxy", "a\0b", "holds the character U+0000"],
    ["haproxy", 'a"b', 'holds the character "'],
    ["haproxy", "ä", "holds the character ä"],
    ["haproxy", "😀", "holds the character 😀"],
    ["haproxy", "a".repeat(1025), "is longer than 1024 characters"],
    ["nginx", "a;b", "holds the character ;"],
    ["nginx", "{", "holds the character {"],
    ["nginx", "$host", "holds the character $"],
    ["yaml", "münchen-東京", undefined],
    ["yaml", "a: b", "holds a space"],
    ["json", 'a"', 'holds the character "'],
    ["json", "a".repeat(5000), undefined],
    ["env", "$(x)", "holds the character $"],
    ["toml", "#", "holds the character #"],
    ["text", "any thing; at $all 😀", undefined],
    ["text", "a\tb", "holds the character U+0009"],
    ["text", "a\u2028b", "holds the character U+2028"],
    ["text", "a\u0085b", "holds the character U+0085"],
  ])("%s: %j", (format, value, why) => {
    expect(whyRefused(value, format)).toBe(why);
  });
});

it("finds what is refused in a text of any length", () => {
  const letters = "ä".repeat(32 * 1024 * 1024);
  expect(whyRefused(`${letters};`, "json")).toBe("holds the character ;");
  expect(whyRefused(`${letters};`, "haproxy")).toBe("holds the character ä");
});

// test/templater/grammars.test.ts asks other people's parsers.
describe("positionAt", () => {
  it.each<readonly [Format, string, Position]>([
    ["json", '{"a": ', "value"],
    ["json", '{"a": "', "quoted"],
    ["json", '{"a\\"": "b\\\\", "c": ', "value"],
    ["yaml", "a: ", "value"],
    ["yaml", "a: x", "inside"],
    ["yaml", "a: 'it''s ", "quoted"],
    ["yaml", "it's: ", "value"],
    ["yaml", 'a: "b" # it\'s ', "comment"],
    ["yaml", "a: b#c ", "value"],
    ["yaml", "a: [b, ", "flow"],
    ["yaml", "a: {b: [c], d: ", "flow"],
    ["yaml", "a: [\n  b, ", "flow"],
    ["yaml", "a: [b]\nc: ", "value"],
    ["toml", "a = ", "value"],
    ["toml", "a = 1\n", "key"],
    ["toml", "[a.", "key"],
    ["toml", 'a = "', "quoted"],
    ["toml", 'a = """\nb "c" ', "quoted"],
    ["toml", "a = '''b'''\n", "key"],
    ["toml", "a = [\n  ", "value"],
    ["toml", "a = 1 # ", "comment"],
    ["env", "", "key"],
    ["env", "A=", "value"],
    ["env", 'A="b\n', "quoted"],
    ["env", "A=b # ", "comment"],
    ["env", "# A=b\n", "key"],
  ])("%s: %j", (format, text, position) => {
    expect(positionAt(scan(scanStart, text, format), format)).toBe(position);
  });
});

describe("quoteWord", () => {
  it.each<readonly [Format, string, string]>([
    ["haproxy", "a b", "'a b'"],
    ["haproxy", "it's $HOME \\ #", "'it'\\''s $HOME \\ #'"],
    ["haproxy", "", "''"],
    ["env", "it's", "'it'\\''s'"],
    ["nginx", 'a "b" \\ ;{}', '"a \\"b\\" \\\\ ;{}"'],
    ["json", 'a "b"\n', '"a \\"b\\"\\n"'],
    ["yaml", "a: b\u0085", '"a: b\\u0085"'],
    ["toml", "\u007f", '"\\u007f"'],
  ])("%s: %j is %s", (format, value, word) => {
    expect(whyUnquotable(value, format)).toBeUndefined();
    expect(quoteWord(value, format)).toBe(word);
  });

  it.each<readonly [Format, string]>([
    ["haproxy", "a\nb"],
    ["haproxy", "a\0"],
    ["nginx", "a\rb"],
    ["nginx", "$request_uri"],
    ["nginx", "a".repeat(2000)],
    ["env", "a\nb"],
  ])("%s refuses %j", (format, value) => {
    expect(whyUnquotable(value, format)).toBeDefined();
  });

  it("is read back from JSON and YAML as it was", () => {
    fc.assert(
      fc.property(anyText, (value) => {
        expect(JSON.parse(jsonText({ value }))).toEqual({ value });
        expect(parse(`a: ${quoteWord(value, "yaml")}\n`)).toEqual({ a: value });
      }),
    );
  });

  it("writes a lone half of a character as the sign for something unreadable", () => {
    expect(jsonText("a\ud800")).toBe('"a\\ufffd"');
    expect(jsonText("a\\ud800")).toBe('"a\\\\ud800"');
  });
});

describe("slugOf", () => {
  it.each<readonly [Format, string, RegExp]>([
    ["nginx", "web_1.2-x", /^web_1\.2-x$/],
    ["nginx", "h1:web:80", /^h1_web_80-[0-9a-f]{12}$/],
    ["haproxy", "h1:web:80", /^h1:web:80$/],
    ["haproxy", "h1:web/80", /^h1:web_80-[0-9a-f]{12}$/],
    ["haproxy", "", /^_-[0-9a-f]{12}$/],
    ["toml", "a.b", /^a_b-[0-9a-f]{12}$/],
    ["json", "a-b", /^a_b_[0-9a-f]{12}$/],
    ["json", "a_b_0123456789ab", /^a_b_0123456789ab_[0-9a-f]{12}$/],
    ["env", "1a", /^_1a_[0-9a-f]{12}$/],
    ["env", "_a1", /^_a1$/],
    ["text", "..", /^_\.-[0-9a-f]{12}$/],
    ["text", "a\n", /^a_-[0-9a-f]{12}$/],
    ["text", "x".repeat(500), /^x{120}-[0-9a-f]{12}$/],
  ])("%s: %j", (format, value, slug) => {
    expect(slugOf(value, format)).toMatch(slug);
  });

  it("never takes the slug of another value, not even of one made to look like it", () => {
    const slug = slugOf("a b", "nginx");
    expect(slugOf(slug, "nginx")).not.toBe(slug);
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        fc.pre(a !== b);
        expect(slugOf(a, "haproxy")).not.toBe(slugOf(b, "haproxy"));
        expect(slugOf(a, "haproxy")).toMatch(/^[A-Za-z0-9_.:-]+$/);
        expect(slugOf(a, "env")).not.toBe(slugOf(b, "env"));
        expect(slugOf(a, "env")).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
      }),
    );
  });
});
