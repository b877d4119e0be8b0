import { textLiteral } from "../convert/literal.ts";
import { NotTurned, text, type Value } from "../convert/shape.ts";
import { call } from "../convert/value.ts";
import { type Entry, expect } from "./entry.ts";

/** A function that replaces what a pattern finds, in a value, by a text; `order` tells which argument is which. */
export function replacing(order: readonly [value: number, pattern: number, by: number]): Entry {
  return {
    args: "a b c",
    here: `\`(regexReplace ${order.map((at) => "abc"[at]).join(" ")})\``,
    turn: (args) => {
      expect(args, 3, 3);
      const [value, pattern, by] = order.map((at) => args[at]) as [Value, Value, Value];
      const written =
        by.literal === undefined ? by : textLiteral(replacementFor(by.literal, pattern.literal));
      return call("regexReplace", [value, pattern, written], text);
    },
  };
}

/**
 * What stands for the found text, as our helper reads it. Go takes the longest name after a dollar sign (`$1x` is the
 * group `1x`), knows `${1}`, and takes a backslash for itself. Throws NotTurned for a group that is not in the pattern,
 * of which Go makes nothing.
 */
function replacementFor(by: string, pattern: string | undefined): string {
  return by.replace(/\\|\$(?:\$|\{(\w+)\}|(\w+))?/g, (found, braced?: string, bare?: string) => {
    const name = braced ?? bare;
    if (name === undefined) return found === "\\" ? "\\\\" : "\\$";
    if (/^\d$/.test(name)) return `$${name}`;
    if (pattern !== undefined && new RegExp(`\\(\\?P?<${name}>`).test(pattern)) return `\${${name}}`;
    throw new NotTurned(
      `Go takes ${found} for the group ${name}, which is not there; write \${…} around its name`,
    );
  });
}
