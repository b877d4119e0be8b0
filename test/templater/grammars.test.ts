import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { beforeAll, describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import type { Instance } from "../../src/instance.ts";
import type { Format } from "../../src/templater/escape/format.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import fc from "../property.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { instance, worldOf } from "./golden/world.ts";

/**
 * T10 for each grammar, with a parser that is not ours: whatever an instance says, the file parses, the harmless
 * instances are in it as they are, and nothing is in it that the template does not write.
 */

const good = instance({ id: "good", meta: { v: "plain" } });

function render(format: Format, text: string, instances: readonly Instance[]) {
  const template = compileTemplate({ path: "t", text, partials: new Map(), format });
  const rendered = renderTemplate(template, worldOf([good, ...instances]));
  if (rendered.status !== "rendered") throw new Error("waiting");
  return { text: rendered.text, refused: new Set(rendered.refused.map(({ id }) => id)) };
}

const each = (body: string) => `{{#each (service "web")}}${body}{{/each}}`;

/** Values that mean something in one grammar or another, and any others. */
const hostile = fc.oneof(
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  { weight: 3, arbitrary: fc.stringMatching(/^[-a-z0-9 \n\r\t"'`$\\{}[\]();#%|&*!<>?=,:@~.+/]{0,10}$/) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...[
        "",
        "-",
        "---",
        "...",
        ":",
        "a:",
        "[a",
        "a]",
        "a,b",
        "a=b",
        "a.b",
        "@a",
        "=",
        "[",
        "[]",
        "[1]",
        "1,2",
      ],
      ...[
        "true",
        "null",
        "~",
        "no",
        "0x1F",
        "1e3",
        "01",
        "1979-05-27",
        "12:30:00",
        "=1",
        "PATH=x",
        "a-b",
        "9a",
      ],
      ...[
        "'''",
        '"""',
        "\\",
        `$\{HOME}`,
        "$(id)",
        "`id`",
        "*a",
        "&a",
        "!!js",
        "<<",
        "? a",
        "- a",
        "#",
        "a #b",
      ],
      ..."\n \r \u2028 \u0085 \u0000 \ud800 \ufeff a\nb \"\n} '; }".split(" "),
    ),
  },
);

/** Instances with these values in `meta.v`. */
const instancesOf = (values: readonly string[]) =>
  values.map((v, n) => instance({ id: `i${String(n).padStart(3, "0")}`, meta: { v } }));

const batch = fc.array(hostile, { minLength: 1, maxLength: 30 });

/** The values of those that were not refused, by id; the good one among them. */
function kept(instances: readonly Instance[], refused: ReadonlySet<string>): Record<string, string> {
  const left = [good, ...instances].filter(({ id }) => !refused.has(id));
  return Object.fromEntries(left.map(({ id, meta }) => [id, meta.v ?? ""]));
}

/** A lone half of a character cannot be written; a quoted text has the sign for it. */
const writable = (values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([id, v]) => [id, Buffer.from(v).toString()]));

describe("json", () => {
  it("admits text inside of quotes, and single values outside", () => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf(values);
        const quoted = render("json", `{ ${each('"{{id}}": "{{meta.v}}",')} "end": 0}`, instances);
        expect(JSON.parse(quoted.text)).toEqual({ ...kept(instances, quoted.refused), end: 0 });
        expect(quoted.refused).not.toContain("good");

        // The good one is no JSON value, either.
        const bare = render("json", `{ ${each('"{{id}}": {{meta.v}},')} "end": 0}`, instances);
        for (const value of Object.values(JSON.parse(bare.text))) {
          if (value !== null) expect(value).not.toBeTypeOf("object");
        }
        expect(bare.refused).toContain("good");
      }),
    );
  });

  it("writes any value with json and quote", () => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf(values);
        const text = `{ ${each("{{json id}}: [{{json meta.v}}, {{quote meta.v}}, {{json this}}],")} "end": 0}`;
        const { text: written, refused } = render("json", text, instances);
        expect(refused.size).toBe(0);
        const parsed = JSON.parse(written) as Record<string, unknown>;
        for (const [id, v] of Object.entries(writable(kept(instances, refused)))) {
          expect(parsed[id]).toEqual([v, v, expect.objectContaining({ id, meta: { v } })]);
        }
      }),
    );
  });
});

describe("yaml", () => {
  const map = (value: string) => `all:\n${each(`  {{json id}}: ${value}\n`)}end: 0\n`;

  it.each([
    ["as a value", map("{{meta.v}}")],
    ["in double quotes", map('"{{meta.v}}"')],
    ["in single quotes", map("'{{meta.v}}'")],
    ["in a flow mapping", `all: { ${each("{{json id}}: {{meta.v}}, ")} }\nend: 0\n`],
    ["in a flow mapping over lines", `all: {\n${each("  {{json id}}: {{meta.v}},\n")} }\nend: 0\n`],
    ["as the end of a word", `all:\n${each("  {{json id}}: x{{meta.v}}\n")}end: 0\n`],
    ["before a comment", map("{{meta.v}} # it's {{meta.v}}")],
  ])("admits single values %s", (_, template) => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf(values);
        const { text, refused } = render("yaml", template, instances);
        const { all, ...rest } = parseYaml(text) as { all: Record<string, unknown> };
        expect(rest).toEqual({ end: 0 });
        expect(Object.keys(all).sort()).toEqual(Object.keys(kept(instances, refused)).sort());
        for (const value of Object.values(all)) {
          if (value !== null) expect(value).not.toBeTypeOf("object");
        }
        expect(String(all.good)).toMatch(/^x?plain$/);
      }),
    );
  });

  it("admits single items of a list", () => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf(values);
        const block = render("yaml", each("- {{meta.v}}\n"), instances);
        const flow = render("yaml", `[${each("{{meta.v}}, ")}]`, instances);
        for (const { text, refused } of [block, flow]) {
          const list = parseYaml(text) as unknown[];
          expect(list).toHaveLength(instances.length + 1 - refused.size);
          for (const item of list) if (item !== null) expect(item).not.toBeTypeOf("object");
        }
      }),
    );
  });

  it("writes any value with json, quote and yaml", () => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf(values);
        const body =
          "{{json id}}:\n  - {{json meta.v}}\n  - {{quote meta.v}}\n  -\n{{indent (yaml meta) 4}}\n";
        const { text, refused } = render("yaml", each(body), instances);
        expect(refused.size).toBe(0);
        const parsed = parseYaml(text) as Record<string, unknown[]>;
        for (const [id, v] of Object.entries(writable(kept(instances, refused)))) {
          expect(parsed[id]?.slice(0, 2)).toEqual([v, v]);
          expect(Object.keys(parsed[id]?.[2] as object)).toEqual(["v"]);
        }
      }),
    );
  });
});

describe("toml", () => {
  it.each([
    ["as a value", each("{{slug id}} = {{meta.v}}\n")],
    ["in quotes", each('{{slug id}} = "{{meta.v}}"\n')],
    ["in literal quotes", each("{{slug id}} = '{{meta.v}}'\n")],
    ["in long quotes", each('{{slug id}} = """\n{{meta.v}}"""\n')],
    ["in a list over lines", each("{{slug id}} = [\n  {{meta.v}},\n]\n")],
    ["as a key", each('"{{id}}" = "x"\n[{{meta.v}}]\n')],
    ["in a comment", each('{{slug id}} = "x" # it\'s {{meta.v}}\n')],
  ])("admits single values %s", (where, template) => {
    fc.assert(
      fc.property(batch, (values) => {
        // A table by the same name twice is the template's own mistake.
        const instances = instancesOf(where === "as a key" ? [...new Set(values)] : values);
        const names = instances.filter(({ meta }) => meta.v !== "plain" || where !== "as a key");
        const { text, refused } = render("toml", template, names);
        const parsed = parseToml(text);
        if (where === "as a key") {
          for (const name of Object.keys(parsed)) expect(name).toMatch(/^[A-Za-z0-9_-]+$/);
        } else {
          expect(Object.keys(parsed).sort()).toEqual(Object.keys(kept(names, refused)).sort());
          for (const value of Object.values(parsed)) {
            if (Array.isArray(value)) expect(value).toHaveLength(1);
            else expect(Object.getPrototypeOf(value)).not.toBe(Object.prototype);
          }
        }
      }),
    );
  });

  it("writes any text with json and quote, and any name with slug", () => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf([...new Set(values)]);
        const text = each("[{{slug meta.v}}]\nv = [{{json meta.v}}, {{quote meta.v}}]\n");
        const { text: written, refused } = render("toml", text, instances);
        expect(refused.size).toBe(0);
        const wanted = Object.values(writable(kept(instances, refused))).map((v) => ({ v: [v, v] }));
        const parsed = Object.values(parseToml(written));
        expect(parsed).toHaveLength(new Set(wanted.map((one) => JSON.stringify(one))).size);
        for (const one of wanted) expect(parsed).toContainEqual(one);
      }),
    );
  });
});

describe("env", () => {
  /** The variables that a shell has after it has read the file, and nothing but what the file says. */
  function read(text: string, names: readonly string[]): Record<string, string | undefined> {
    const path = join(dir, "file.env");
    writeFileSync(path, text);
    const script = `set -eu; . "$0"; for name in ${names.join(" ")}; do eval "printf '%s\\0' \\"\\$name=\\\${$name-}\\""; done`;
    const out = execFileSync("/bin/sh", ["-c", script, path], { env: {}, cwd: dir, encoding: "utf8" });
    return Object.fromEntries(
      out
        .split("\0")
        .filter(Boolean)
        .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
  }

  it.each([
    ["as it is", each("{{slug id}}={{meta.v}}\n")],
    ["in double quotes", each('{{slug id}}="{{meta.v}}"\n')],
    ["with quote", each("{{slug id}}={{quote meta.v}}\n")],
  ])("gives a shell the value, %s", (_, template) => {
    fc.assert(
      fc.property(batch, (values) => {
        const instances = instancesOf(values);
        const { text, refused } = render("env", template, instances);
        const wanted = kept(instances, refused);
        expect(read(text, Object.keys(wanted))).toEqual(writable(wanted));
      }),
      { numRuns: 30 },
    );
  });

  it("gives it no command in the place of a name", () => {
    fc.assert(
      fc.property(batch, (values) => {
        const { text } = render("env", each("{{meta.v}}=1\n"), instancesOf(values));
        for (const line of text.split("\n").filter(Boolean))
          expect(line).toMatch(/^[A-Za-z_][A-Za-z0-9_]*=1$/);
        const slugs = render("env", each("{{slug meta.v}}=1\n"), instancesOf(values));
        read(slugs.text, []);
        expect(slugs.refused.size).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});

const dir = tempDir("grammars");

describe("haproxy and nginx", () => {
  beforeAll(async () => {
    await ensureInstalled(["haproxy", "nginx"]);
    mkdirSync(join(dir, "temp"));
  });

  const values = fc.sample(hostile, { numRuns: 1000, seed: 11 });
  // Two may say the same; their words are then the same, too, which neither program minds here.
  const instances = instancesOf(values);

  it("haproxy takes what is admitted and quoted, as one word", async () => {
    const template = `defaults
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend f
    mode http
    bind 127.0.0.1:1
${each("    http-request set-header x-{{slug id}} {{quote (replace meta.v '%' '%%')}}\n    http-request set-header y str,{{meta.v}}\n")}`;
    const { text, refused } = render("haproxy", template.replace("str,{{", "y{{"), instances);
    expect(refused.size).toBeGreaterThan(100);
    expect(refused.size).toBeLessThan(900);
    const words = text.split("\n").map((line) => line.trim().split(" ")[0]);
    expect(new Set(words)).toEqual(
      new Set(["defaults", "timeout", "frontend", "mode", "bind", "http-request", ""]),
    );
    const path = join(dir, "haproxy.cfg");
    writeFileSync(path, text);
    await exec("haproxy", ["-c", "-f", path]);
  });

  it("nginx takes what is admitted and quoted, as one word", async () => {
    const template = `error_log stderr;
pid nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path temp/a; proxy_temp_path temp/b; fastcgi_temp_path temp/c;
    uwsgi_temp_path temp/d; scgi_temp_path temp/e;
    server {
        listen 127.0.0.1:8081;
${each("        add_header x-{{slug id}} {{quote meta.v}};\n        add_header y y{{meta.v}};\n")}
    }
}
`;
    const { text, refused } = render("nginx", template, instances);
    expect(refused.size).toBeGreaterThan(100);
    expect(refused.size).toBeLessThan(900);
    const lines = text.split("\n").filter((line) => line.includes("add_header"));
    expect(lines).toHaveLength(2 * (instances.length + 1 - refused.size));
    const path = join(dir, "nginx.conf");
    writeFileSync(path, text);
    await exec("nginx", ["-t", "-q", "-p", dir, "-c", path]);
  });
});
