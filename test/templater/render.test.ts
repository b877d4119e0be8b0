import { describe, expect, it } from "vitest";
import { type Format, formatOf } from "../../src/templater/escape/format.ts";
import { compileTemplate, type Rendered, renderTemplate } from "../../src/templater/render.ts";
import { instance, snapshotOf, worldOf } from "./golden/world.ts";

type Partials = Readonly<Record<string, string>>;

function compile(text: string, format: Format = "haproxy", partials: Partials = {}) {
  const files = Object.entries(partials).map(
    ([name, text]) => [name, { path: `${name}.hbs`, text }] as const,
  );
  return compileTemplate({ path: "t.hbs", text, partials: new Map(files), format });
}

function render(text: string, world = worldOf([]), format: Format = "haproxy") {
  return renderTemplate(compile(text, format), world);
}

function textOf(rendered: Rendered): string {
  if (rendered.status !== "rendered") throw new Error(`waiting for ${rendered.for.join()}`);
  return rendered.text;
}

describe("mistakes that show without data", () => {
  const cases: readonly (readonly [template: string, message: string])[] = [
    ["a\n  {{toUper x}}", 't.hbs:2:3: unknown helper "toUper"; did you mean "toUpper"?'],
    ['{{#each (servce "web")}}{{/each}}', 't.hbs:1:9: unknown helper "servce"; did you mean "service"?'],
    ['{{kea "a"}}', 't.hbs:1:1: unknown helper "kea"; did you mean "key"?'],
    ["{{> foot}}", 't.hbs:1:1: unknown partial "foot"; did you mean "foo"?'],
    ["{{> (foo)}}", "t.hbs:1:1: a partial with a computed name; write {{> name}}, and choose with {{#if}}"],
    ["{{#eq a b}}{{/eq}}", 't.hbs:1:1: "eq" is not a block; write {{#if (eq …)}}'],
    ["{{#eech a}}{{/eech}}", 't.hbs:1:1: unknown block "eech"; did you mean "each"?'],
    ["{{#site}}{{/site}}", 't.hbs:1:1: unknown block "site"; write {{#if …}}, {{#each …}} or {{#with …}}'],
    ["{{#each a b}}{{/each}}", "t.hbs:1:1: {{#each}} takes one argument"],
    ["{{eq 1}}", "t.hbs:1:1: eq takes 2 arguments, not 1"],
    ["{{default a b c}}", "t.hbs:1:1: default takes 2 arguments, not 3"],
    ['{{service "web" tg="a"}}', 't.hbs:1:1: service does not take tg=; did you mean "tag"?'],
    ["{{@indx}}", 't.hbs:1:3: unknown variable @indx; did you mean "index"?'],
    ["{{@run}}", "t.hbs:1:3: unknown variable @run"],
    ["{{12}}", "t.hbs:1:1: a constant inside {{ }}; write it without the braces"],
    ['{{#*inline "a"}}{{/inline}}', "t.hbs:1:1: decorators ({{* }}) are not supported"],
    ["{{lookup.x 1}}", 't.hbs:1:1: unknown helper "lookup.x"'],
    ["{{[portolan admit] 1}}", 't.hbs:1:1: unknown helper "portolan admit"'],
    ["{{{{log}}}}x{{{{/log}}}}", 't.hbs:1:1: unknown block "log"'],
    ["one\n{{#if a}}\n{{/each}}", "t.hbs:2:4: if is closed, but the open block is each"],
    ["one\n  {{foo bar baz=}}", "t.hbs:2:17: an expression that cannot be read; it goes wrong at }}"],
    ["one\n{{#each a}}\ntwo", "t.hbs:3:4: the template ends inside a block; close it with {{/…}}"],
    ["{{a", "t.hbs:1:3: an expression that cannot be read; look for a stray brace or quote"],
  ];
  it.each(cases)("%j", (template, message) => {
    expect(() => compile(template, "haproxy", { foo: "" })).toThrowError(
      expect.objectContaining({ code: "TEMPLATE", message: expect.stringContaining(message) }),
    );
  });

  it("lists every mistake, those in partials with the partial's name", () => {
    expect(() => compile("{{a 1}}\n{{> p}}", "text", { p: "\n {{b 2}}" })).toThrowError(
      't.hbs:1:1: unknown helper "a"\np.hbs:2:2: unknown helper "b"',
    );
  });

  it("looks only at partials that are included", () => {
    expect(textOf(renderTemplate(compile("a", "text", { p: "{{broken" }), worldOf([])))).toBe("a");
  });

  it("refuses partials that include themselves", () => {
    expect(() => compile("{{> a}}", "text", { a: "{{> b}}", b: "{{> a}}" })).toThrowError(
      'b.hbs:1:1: the partial "a" includes itself; use {{#each}} to repeat something',
    );
  });
});

describe("mistakes that show while rendering", () => {
  const world = worldOf([instance({ meta: { version: "1" } })], { SECRET: "two words" });
  const cases: readonly (readonly [template: string, message: string])[] = [
    [
      '{{#each (service "web")}}\n{{adress}}{{/each}}',
      't.hbs:2:1: {{adress}} has no value in h1:web:80; did you mean "address"?',
    ],
    [
      '{{#each (service "web")}}{{meta.vrsion}}{{/each}}',
      't.hbs:1:26: {{meta.vrsion}} has no value in h1:web:80; test it with {{#if}}, or write {{default meta.vrsion "…"}}',
    ],
    ["{{{typo}}}", "t.hbs:1:1: {{typo}} has no value"],
    ["{{#each typo}}{{/each}}", "t.hbs:1:1: #each needs a list, not a missing value"],
    ["{{#with typo}}{{/with}}", "t.hbs:1:1: #with needs a value, not a missing value"],
    [
      '{{service "web"}}',
      '{{service "web"}} is a list; write {{json (service "web")}}, or walk it with {{#each}}',
    ],
    ['{{#each (service "web")}}{{this}}{{/each}}', "{{this}} is an object; write {{json this}}"],
    ['{{join typo ","}}', "t.hbs:1:1: join needs a list, not a missing value; give a default"],
    ['{{env "NOPE"}}', 'env the variable NOPE is not set; set it, or write (env "NOPE" default="…")'],
    ['{{#each (service "web" state="up")}}{{/each}}', 'state "up" is not one of ready, starting'],
    ["{{div.constructor.name}}", "has no value"],
    ['{{add "x" 1}}', 'add needs a number, not "x"'],
  ];
  it.each(cases)("%j", (template, message) => {
    expect(() => render(template, world)).toThrowError(
      expect.objectContaining({ code: "TEMPLATE", message: expect.stringContaining(message) }),
    );
  });

  it("does not print a refused variable, which may be a secret", () => {
    const attempt = () => render('{{#each (service "web")}}{{env "SECRET"}}{{/each}}', world);
    expect(attempt).toThrowError('t.hbs:1:26: the value of {{env "SECRET"}} cannot stand in a haproxy file');
    expect(attempt).not.toThrowError("two words");
  });

  it("refuses the template's own text where it does not fit, and no instance for it", () => {
    expect(() => render('{{#each (service "web")}}{{default meta.x "a b"}}{{/each}}', world)).toThrowError(
      '{{default meta.x "a b"}} cannot stand in a haproxy file, and no instance holds it',
    );
  });
});

// Templates run in the process's only thread: whatever they do has to come to an end, soon.
describe("bounds", () => {
  const each = (body: string) => `{{#each (service "web")}}${body}{{/each}}`;
  const many = (count: number) => Array.from({ length: count }, (_, n) => instance({ id: `i${n}` }));
  const doubling = (times: number) =>
    Object.fromEntries(
      Array.from({ length: times }, (_, n) => [`p${n}`, n === 0 ? "x" : `{{> p${n - 1}}}{{> p${n - 1}}}`]),
    );

  it("the output", () => {
    const world = worldOf(many(100));
    expect(() => render(each(each("x".repeat(7000))), world)).toThrowError("renders more than 64 MB");
  });

  it.each<readonly [string, string, Partials, string]>([
    ["blocks inside of blocks", each(each(each("{{id}}"))), {}, "t.hbs:1:"],
    ["blocks that write nothing", each(each(each(each("")))), {}, "t.hbs:1:"],
    ["partials inside of partials", "{{> p40}}", doubling(41), "> takes this render beyond"],
    [
      "helpers",
      `{{#with (service "web") as |web|}}${each('{{#if (sortBy web "id")}}{{/if}}')}{{/with}}`,
      {},
      "sortBy takes this render beyond 3030000 steps",
    ],
    ["reading", each(each('{{#if (service "web")}}{{/if}}')), {}, "service takes this"],
  ])("%s", (_, template, partials, message) => {
    const compiled = compile(template, "text", partials);
    const started = performance.now();
    expect(() => renderTemplate(compiled, worldOf(many(1000)))).toThrowError(
      expect.objectContaining({ code: "TEMPLATE", message: expect.stringContaining(message) }),
    );
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  const long = "a".repeat(4 * 1024 * 1024);
  const slow = `${"a".repeat(16_384)}b${"a".repeat(16_384)}`;

  it.each<readonly [string, string]>([
    ["lists of which nothing is taken", each('{{#if (service "web" tag="none")}}{{/if}}')],
    ["masters that are not there", each('{{#if (master "web")}}{{/if}}')],
    ["services of which nothing is taken", each('{{#if (services tag="none")}}{{/if}}')],
    ["searching", '{{#with (first (service "web"))}}{{#if (contains meta.x meta.y)}}{{/if}}{{/with}}'],
    [
      "searching quoted texts",
      '{{#with (first (service "web"))}}{{#if (contains (quote meta.x) (quote meta.y))}}{{/if}}{{/with}}',
    ],
    ["splitting", '{{#with (first (service "web"))}}{{#if (split meta.x meta.y)}}{{/if}}{{/with}}'],
    ["replacing", '{{#with (first (service "web"))}}{{#if (replace meta.x meta.y "")}}{{/if}}{{/with}}'],
  ])("%s", (_, template) => {
    const compiled = compile(template, "text");
    const [head, ...rest] = many(10_000);
    const world = worldOf([{ ...(head ?? instance()), meta: { x: long.slice(2), y: slow } }, ...rest]);
    const started = performance.now();
    expect(() => renderTemplate(compiled, world)).toThrowError("takes this render beyond 3300000 steps");
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it("whom to blame for a long value", () => {
    const meta = { x: `${"a".repeat(100_000)} ${"a".repeat(100_000)}`, y: `${"a".repeat(50_000)} ` };
    const web = Array.from({ length: 40 }, (_, n) => instance({ id: `i${n}`, meta }));
    const started = performance.now();
    const rendered = render('{{#each (pluck (service "web") "meta.x")}}{{this}}{{/each}}', worldOf(web));
    expect(rendered).toMatchObject({ status: "rendered", text: "" });
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it("refusals one after the other", () => {
    const hostile = Array.from({ length: 5000 }, (_, n) => instance({ id: `i${n}`, meta: { x: "a b" } }));
    const first = `{{#with (first (service "web"))}}{{meta.x}}{{/with}}${each("")}`;
    const started = performance.now();
    expect(() => render(first, worldOf(hostile))).toThrowError("finding them one by one takes too long");
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});

describe("values", () => {
  const world = worldOf([
    instance({ tags: ["blue", "http"], meta: { zone: "a", "dotted.key": "d" }, weight: 0 }),
  ]);
  const web = (body: string) => `{{#each (service "web")}}${body}{{/each}}`;
  const cases: readonly (readonly [template: string, text: string])[] = [
    [web("{{address}}:{{port}} {{weight}} {{meta.zone}} {{meta.[dotted.key]}}"), "10.0.0.1:80 0 a d"],
    [web("{{#if meta.none}}x{{else if weight}}y{{else}}z{{/if}}"), "z"],
    [web('{{default meta.none "x"}}{{#unless meta.none}}y{{/unless}}'), "xy"],
    [web("{{#each tags}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}"), "0blue,1http"],
    [web("{{#each meta}}{{@key}}={{this}} {{../id}};{{/each}}"), "dotted.key=d h1:web:80;zone=a h1:web:80;"],
    [web("{{#each tags as |tag n|}}{{n}}{{tag}}{{/each}}"), "0blue1http"],
    [web("{{node}}"), "h1"],
    ["{{node}}", "lb1"],
    ["{{#with (node) as |node|}}{{node}}{{/with}}", "lb1"],
    [web('{{#if (eq node "h1")}}y{{/if}}'), "y"],
    ['{{#each (service "none")}}x{{else}}empty{{/each}}', "empty"],
    ['{{#with (master "web")}}x{{else}}none{{/with}}', "none"],
    ['{{#each (services)}}{{name}} {{len instances}} {{join tags ","}}{{/each}}', "web 1 blue,http"],
    ['{{{env "X" default="a b"}}}', "a b"],
    ['{{quote (env "X" default="a \'b\'")}}', "'a '\\''b'\\'''"],
    [web("{{#if constructor}}x{{/if}}{{#if __proto__}}y{{/if}}{{#if tags.map}}z{{/if}}"), ""],
    [web('{{#if (lookup this "constructor")}}x{{/if}}{{#if (lookup meta "__proto__")}}y{{/if}}'), ""],
  ];
  it.each(cases)("%j renders %j", (template, text) => {
    expect(textOf(render(template, world))).toBe(text);
  });

  it("passes context and arguments to partials, and indents them", () => {
    const template = compile('{{#each (service "web")}}\n  {{> server port=8080}}\n{{/each}}\n', "haproxy", {
      server: "server {{id}}\n  port {{port}}\n",
    });
    expect(textOf(renderTemplate(template, world))).toBe("  server h1:web:80\n    port 8080\n");
  });

  it("renders equal worlds to equal bytes", () => {
    const template = compile(web("{{json this}}"), "json");
    expect(textOf(renderTemplate(template, world))).toBe(
      textOf(renderTemplate(template, structuredClone(world))),
    );
  });

  it("keeps templates apart: one's partials are not another's", () => {
    compile("{{> p}}", "text", { p: "" });
    expect(() => compile("{{> p}}", "text")).toThrowError('unknown partial "p"; put it beside the template');
  });
});

describe("what templates cannot reach", () => {
  const world = worldOf([instance({ tags: ["a"], meta: { a: "1" } })]);
  const inside = (body: string) =>
    `{{#each (service "web")}}{{#with (byTag (service "web")) as |tags|}}${body}{{/with}}{{/each}}`;

  it.each([
    "constructor",
    "__proto__",
    "../constructor",
    "../tags.map",
    "../meta.constructor.name",
    "../meta.__proto__",
    "../__proto__.polluted",
    "../id.constructor",
    "tags.__proto__",
    "@root.constructor",
    '(lookup ../this "__proto__")',
    '(lookup ../meta "constructor")',
    '(index ../tags "length")',
    '(index ../this "meta" "hasOwnProperty")',
    `(lookup (parseJSON "{}") "__proto__")`,
    '(first (pluck (service "web") "constructor"))',
    '(first (pluck (service "web") "meta.__proto__"))',
    '(len (groupBy (service "web") "constructor"))',
    '(lookup (byTag (service "web")) "toString")',
    '(get "__proto__")',
    '(len (mapValues "constructor"))',
  ])("%s", (expression) => {
    // Either it is not there, or the helper says so.
    let text = "";
    try {
      text = textOf(render(inside(`{{#if ${expression}}}reached{{/if}}`), world, "text"));
    } catch (error) {
      expect(error).toMatchObject({ code: "TEMPLATE" });
    }
    expect(text).toBe("");
  });

  it("changes nothing when a registry or a JSON text names a prototype", () => {
    const named = instance({ tags: ["__proto__"], meta: JSON.parse('{"__proto__": "x"}') });
    const parts = [
      '{{#each (byTag (service "web"))}}{{@key}}{{/each}}',
      `{{#with (parseJSON '{"__proto__": {"polluted": 1}}')}}{{#if polluted}}reached{{/if}}{{/with}}`,
      '{{set "__proto__" 1}}{{mapSet "__proto__" "__proto__" 1}}',
    ];
    expect(textOf(render(parts.join(""), worldOf([named]), "text"))).toBe("__proto__");
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it("compiles nothing but text", () => {
    const tree = { type: "Program", body: [], blockParams: [], strip: {}, loc: {} } as unknown as string;
    expect(() => compile(tree)).toThrowError("t.hbs: not a text");
  });
});

describe("an instance with a value that the file cannot hold", () => {
  const good = instance({ id: "good", meta: { path: "/a" } });
  const bad = instance({ id: "bad", meta: { path: "/a\nlisten evil" } });
  const lines = '{{#each (service "web")}}{{id}} {{meta.path}};{{/each}}';

  it("is left out, reported, and the others stay", () => {
    expect(render(lines, worldOf([good, bad]))).toMatchObject({
      status: "rendered",
      text: "good /a;",
      refused: [
        {
          id: "bad",
          service: "web",
          reason: 't.hbs:1:33: {{meta.path}} is "/a\\nlisten evil", which holds a line break',
        },
      ],
    });
  });

  it.each([
    ["changed by a helper", '{{#each (service "web")}}{{id}} {{toUpper meta.path}};{{/each}}', "good /A;"],
    [
      "in part",
      '{{#each (service "web")}}{{id}} {{#each (split meta.path "/")}}{{#if this}}{{this}}{{/if}}{{/each}};{{/each}}',
      "good a;",
    ],
    ["as the key of a group", '{{#each (byMeta (service "web") "path")}}{{@key}};{{/each}}', "/a;"],
    [
      "beyond recognition",
      '{{#each (service "web")}}{{id}} {{join (split meta.path "\n") ""}};{{/each}}',
      "good /a;",
    ],
    [
      "in a condition's body",
      '{{#each (service "web")}}{{#if id}}{{id}} {{meta.path}}{{/if}};{{/each}}',
      "good /a;",
    ],
    ["joined with others", '{{join (pluck (service "web") "meta.path") ","}};', "/a;"],
    ["in quotes", '{{#each (service "web")}}{{id}} {{quote meta.path}};{{/each}}', "good '/a';"],
  ])("%s", (_, template, text) => {
    expect(render(template, worldOf([good, bad]))).toMatchObject({ text, refused: [{ id: "bad" }] });
  });

  it("goes alone, even when another one says the same in a field that is not shown", () => {
    const copied = instance({ id: "copied", meta: { path: "/b", note: "/a\nlisten evil" } });
    const paths = '{{#each (pluck (service "web") "meta.path")}}{{this}};{{/each}}';
    expect(render(paths, worldOf([good, bad, copied]))).toMatchObject({
      text: "/b;/a;",
      refused: [{ id: "bad" }],
    });
  });

  it("is found among many in few rounds", () => {
    const many = Array.from({ length: 500 }, (_, n) =>
      instance({ id: `i${n}`, meta: { path: n % 2 ? "/a" : "a b" } }),
    );
    const started = performance.now();
    expect(render(lines, worldOf(many))).toMatchObject({ refused: { length: 250 } });
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("is refused for an empty field where words would move up", () => {
    const empty = worldOf([instance({ meta: { path: "" } })]);
    expect(render(lines, empty)).toMatchObject({
      text: "",
      refused: [{ reason: expect.stringContaining("is empty") }],
    });
    expect(render(lines, empty, "text")).toMatchObject({ text: "h1:web:80 ;", refused: [] });
  });

  it("does not hide a mistake of the template", () => {
    expect(() => render(`${lines}{{typo}}`, worldOf([good, bad]))).toThrowError("{{typo}} has no value");
  });
});

describe("what is not known yet", () => {
  const template = compile('{{#each (service "web")}}{{id}}{{/each}}{{#each (service "db")}}{{id}}{{/each}}');

  it("is waited for, all of it, while the backend has not answered", () => {
    expect(renderTemplate(template, { ...worldOf([]), snapshot: undefined })).toEqual({
      status: "waiting",
      for: ["service db", "service web"],
      reads: { services: new Set(["web", "db"]), all: false },
    });
  });

  it("is only what was not answered", () => {
    const partly = { ...worldOf([]), snapshot: snapshotOf([instance()], false) };
    expect(renderTemplate(template, partly)).toMatchObject({ status: "waiting", for: ["service db"] });
  });

  it("makes errors that come of it meaningless", () => {
    const first = compile('{{#each (service "web")}}{{/each}}{{typo}}');
    const unknown = { ...worldOf([]), snapshot: undefined };
    expect(renderTemplate(first, unknown)).toMatchObject({ status: "waiting" });
  });

  it("is the list of services, when that is asked for", () => {
    const partly = { ...worldOf([]), snapshot: snapshotOf([instance()], false) };
    expect(render("{{len (services)}}", partly)).toMatchObject({
      status: "waiting",
      for: ["the list of services"],
      reads: { all: true },
    });
  });

  it("is nothing that an empty backend could not answer", () => {
    expect(renderTemplate(template, worldOf([]))).toMatchObject({ status: "rendered", text: "" });
  });
});

describe("formatOf", () => {
  it.each([
    ["/etc/portolan/haproxy.cfg.hbs", "haproxy"],
    ["haproxy-failover.cfg.hbs", "haproxy"],
    ["edge.haproxy.hbs", "haproxy"],
    ["nginx.conf.hbs", "nginx"],
    ["nginx-stream.conf.hbs", "nginx"],
    ["a.json.hbs", "json"],
    ["a.yaml.hbs", "yaml"],
    ["a.yml.hbs", "yaml"],
    ["a.toml.hbs", "toml"],
    ["app.env.hbs", "env"],
    [".env.hbs", "env"],
    ["hosts.hbs", "text"],
    ["json.hbs", "text"],
    ["my-haproxy.conf.hbs", "text"],
  ])("%s is %s", (path, format) => {
    expect(formatOf(path)).toBe(format);
  });
});
