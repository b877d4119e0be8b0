import { describe, expect, it } from "vitest";
import { prettyLine } from "../src/log-pretty.ts";

const pretty = (fields: Readonly<Record<string, unknown>>, colour = false) =>
  prettyLine(
    JSON.stringify({ level: "info", time: "2026-01-02T03:04:05.678Z", msg: "registered", ...fields }),
    colour,
  )
    // Local time, wherever the test runs.
    .replace(/^\d\d:\d\d:\d\d\.678 /, "");

describe("a line for people", () => {
  it.each<[fields: Readonly<Record<string, unknown>>, line: string]>([
    [{}, "INFO  registered\n"],
    [{ level: "error", id: "h:web:80", n: 3, ok: true }, "ERROR registered id=h:web:80 n=3 ok=true\n"],
    [{ name: "two words", list: ["a"] }, 'INFO  registered name="two words" list=["a"]\n'],
    [{ err: { code: "CONFIG", message: "bad" } }, "INFO  registered CONFIG: bad\n"],
    [{ err: { message: "bad", cause: "worse" }, a: 1 }, "INFO  registered a=1 error: bad (worse)\n"],
    [
      { err: { message: "bad", stack: "Error: bad\n at x" } },
      "INFO  registered error: bad\n  Error: bad\n   at x\n",
    ],
    [{ msg: "one\ntwo" }, "INFO  one\n  two\n"],
    [{ msg: "\x1b[31mred\r", tag: "\x9b31m" }, 'INFO  \\x1b[31mred\\x0d tag="\\x9b31m"\n'],
  ])("%j", (fields, line) => {
    expect(pretty(fields)).toBe(line);
  });

  it("has a coloured level only when asked", () => {
    expect(pretty({}, true)).toBe("\x1b[32mINFO \x1b[0m registered\n");
  });

  it("begins with the time of day in milliseconds", () => {
    const line = prettyLine('{"level":"warn","time":"2026-01-02T03:04:05.678Z","msg":"x"}', false);
    expect(line).toMatch(/^\d\d:\d\d:05\.678 WARN {2}x\n$/);
  });
});
