import { describe, expect, it } from "vitest";
import { type Steps, stepsBetween } from "../../src/templater/reload/haproxy/changes.ts";
import { parseConfiguration, wordsOf } from "../../src/templater/reload/haproxy/servers.ts";

/** A configuration with two pools. */
const config = (web: string, api = "server a1 10.0.1.1:80", head = "") =>
  `global\n  daemon\n${head}defaults\n  mode http\nbackend web\n  balance roundrobin\n${web}\nbackend api\n${api}\n`;

/** `+web/s1 10.0.0.1:80 w1 check`, `~`, `-`; or why it takes a reload. */
function shown(steps: Steps): readonly string[] | string {
  if ("reload" in steps) return steps.reload;
  return steps.operations.map(({ kind, server }) => {
    const sign = { add: "+", set: "~", remove: "-" }[kind];
    const { pool, name, address, weight, disabled, settings } = server;
    const words = [`${sign}${pool}/${name}`, address, `w${weight}`, ...(disabled ? ["disabled"] : [])];
    return [...words, ...settings].join(" ");
  });
}

const s1 = "  server s1 10.0.0.1:80 weight 2 check";

describe("stepsBetween", () => {
  it.each([
    ["nothing", s1, s1, []],
    ["comments, blanks and indentation", `# a\n${s1}`, `\n\t${s1.trim()}   # b \n#c`, []],
    ["quotes that mean the same", s1, "  server \"s1\" 10.0.0.1:80 'weight' 2 check", []],
    ["a new server", s1, `${s1}\nserver s2 10.0.0.2:80 check`, ["+web/s2 10.0.0.2:80 w1 check"]],
    ["one that is gone", `${s1}\nserver s2 10.0.0.2:80`, s1, ["-web/s2 10.0.0.2:80 w1"]],
    ["a weight", s1, s1.replace("weight 2", "weight 7"), ["~web/s1 10.0.0.1:80 w7 check"]],
    ["a port", s1, s1.replace(":80", ":81"), ["~web/s1 10.0.0.1:81 w2 check"]],
    ["an address", s1, s1.replace("10.0.0.1", "[fd00::1]"), ["~web/s1 [fd00::1]:80 w2 check"]],
    ["a slot that is used", `${s1} disabled`, s1, ["~web/s1 10.0.0.1:80 w2 check"]],
    ["a slot that is free", s1, `${s1} disabled`, ["~web/s1 10.0.0.1:80 w2 disabled check"]],
    [
      "additions come first and removals last",
      "server a 10.0.0.1:80\nserver b 10.0.0.2:80",
      "server b 10.0.0.2:81\nserver c 10.0.0.3:80",
      ["+web/c 10.0.0.3:80 w1", "~web/b 10.0.0.2:81 w1", "-web/a 10.0.0.1:80 w1"],
    ],
    [
      "a backup that is gone, and servers that are none",
      "server a 10.0.0.1:80 backup\nserver b 10.0.0.2:80 backup",
      "server c 10.0.0.3:80\nserver b 10.0.0.2:80 backup",
      ["+web/c 10.0.0.3:80 w1", "-web/a 10.0.0.1:80 w1 backup"],
    ],
    [
      "the order of servers",
      "server a 10.0.0.1:80\nserver b 10.0.0.2:80",
      "server b 10.0.0.2:80\nserver a 10.0.0.1:80",
      [],
    ],
  ])("takes %s at runtime", (_what, before, after, expected) => {
    expect(shown(stepsBetween(config(before), config(after)))).toEqual(expected);
  });

  it.each([
    ["another algorithm", config(s1), config(s1).replace("roundrobin", "leastconn"), "more than servers"],
    ["another pool", config(s1), `${config(s1)}backend new\n`, "more than servers has changed"],
    ["other settings", config(s1), config(s1.replace("check", "check inter 1s")), "server web/s1 has other"],
    ["a name that DNS knows", config(s1), config(`${s1}\nserver s2 db.internal:80`), "web/s2 has an address"],
    ["a socket", config(s1), config(`${s1}\nserver s2 /run/x.sock`), "web/s2 has an address"],
    ["a port offset", config(s1), config(`${s1}\nserver s2 10.0.0.1:+80`), "web/s2 has an address"],
    ["a weight that is none", config(s1), config(`${s1}\nserver s2 10.0.0.1:80 weight x`), "a weight that"],
    ["a weight that is too much", config(s1), config(s1.replace("weight 2", "weight 257")), "a weight that"],
    ["a variable", config(s1), config(`${s1}\nserver s2 10.0.0.1:80 source "$IP"`), "a word that no command"],
    ["a command in a name", config(s1), config(`${s1}\nserver "s;x" 10.0.0.1:80`), "a word that no command"],
    ["a name with a space that is gone", config('server "s x" 10.0.0.1:80'), config(""), "a name that no"],
    ["a condition", config(s1), config(`.if 1\n${s1}\n.endif`), "it depends on .if"],
    ["a quote that does not end", config(s1), config(`${s1} '`), "ends within quotes"],
    ["two servers of one name", config(s1), config(`${s1}\n${s1}`), "two servers web/s1"],
    ["no configuration", "a b\n", "a c\n", "it is no HAProxy configuration"],
    ["servers of peers", "peers p\n server a 10.0.0.1:80\n", "peers p\n server b 10.0.0.1:80\n", "more than"],
    [
      "a template of servers",
      config("server-template s 3 10.0.0.1:80"),
      config("server-template s 4 10.0.0.1:80"),
      "more than",
    ],
    [
      "a comment outside, where # is none",
      config(s1),
      config(s1).replace("daemon", "description x\\#y"),
      "more than",
    ],
    [
      "a letter that is written as its code",
      config(s1, undefined, "  description x41\n"),
      config(s1, undefined, "  description \\x41\n"),
      "more than",
    ],
    [
      "another order of backups",
      config("server a 10.0.0.1:80 backup\nserver b 10.0.0.2:80 backup"),
      config("server b 10.0.0.2:80 backup\nserver a 10.0.0.1:80 backup"),
      "the order of the servers of web counts",
    ],
    [
      "a backup before another one",
      config("server b 10.0.0.2:80 backup"),
      config("server a 10.0.0.1:80 backup\nserver b 10.0.0.2:80 backup"),
      "the order of the servers of web counts",
    ],
    [
      "a new server where the first one is filled first",
      config("balance first\nserver a 10.0.0.1:80"),
      config("balance first\nserver a 10.0.0.1:80\nserver b 10.0.0.2:80"),
      "the order of the servers of web counts",
    ],
    [
      "the same where the defaults say so",
      config("server a 10.0.0.1:80", "", "defaults\n balance first\n"),
      config("server a 10.0.0.1:80\nserver b 10.0.0.2:80", "", "defaults\n balance first\n"),
      "the order of the servers of web counts",
    ],
  ])("takes a reload for %s", (_what, before, after, expected) => {
    expect(shown(stepsBetween(before, after))).toContain(expected);
  });

  it("gives what default-server says to the servers after it", () => {
    const defaults = "defaults\n  default-server inter 1s\n";
    const before = `${defaults}backend web\n  default-server check weight 5\n  server a 10.0.0.1:80\n`;
    const after = `${before}  server b 10.0.0.2:80 fall 2 weight 6\n`;
    expect(shown(stepsBetween(before, after))).toEqual(["+web/b 10.0.0.2:80 w6 inter 1s check fall 2"]);
    const named = "defaults one\n  default-server fall 3\ndefaults two from one\n  default-server rise 4\n";
    const pool = (servers: string) => `${named}defaults three\nbackend web from two\n${servers}`;
    expect(shown(stepsBetween(pool(""), pool("  server b 10.0.0.2:80\n")))).toEqual([
      "+web/b 10.0.0.2:80 w1 fall 3 rise 4",
    ]);
    // The last defaults section counts, and it begins anew.
    const last = (servers: string) => `${named}defaults three\nbackend web\n${servers}`;
    expect(shown(stepsBetween(last(""), last("  server b 10.0.0.2:80\n")))).toEqual([
      "+web/b 10.0.0.2:80 w1",
    ]);
  });
});

describe("parseConfiguration", () => {
  it("knows endpoints of both families", () => {
    const parsed = parseConfiguration(
      "listen l\n server a 1.2.3.4:5\n server b fd00::1:6\n server c [::1]:7\n",
    );
    expect(typeof parsed === "string" ? parsed : [...parsed.servers.values()].map((s) => s.endpoint)).toEqual(
      [
        { ip: "1.2.3.4", port: 5 },
        { ip: "fd00::1", port: 6 },
        { ip: "::1", port: 7 },
      ],
    );
  });
});

describe("wordsOf", () => {
  it.each([
    ["a  b\tc", ["a", "b", "c"]],
    ["a\\ b 'c d' \"e f\" # g", ["a b", "c d", "e f"]],
    ['a\\#b \'c\\\' "d\\"e"', ["a#b", "c\\", 'd"e']],
    ["a\\tb\\x41\\n\\r \\xzz \\y \\$ \\", ["a\tbA\n\r", "\\xzz", "\\y", "\\$", "\\"]],
    ["\"\\$a \\y\" '\\t'", ["$a \\y", "\\t"]],
    ["''", [""]],
    ["# all", []],
    ["a'b'c", ["abc"]],
    ["a 'b", undefined],
  ])("reads %j", (line, words) => {
    expect(wordsOf(line)).toEqual(words);
  });
});
