import { describe, expect, it } from "vitest";
import { confdLanguage } from "../../src/migrate/confd.ts";
import { consulTemplateLanguage } from "../../src/migrate/consul-template.ts";
import type { Language } from "../../src/migrate/convert/expression.ts";
import { dockerGenLanguage } from "../../src/migrate/docker-gen.ts";
import type { Note } from "../../src/migrate/note.ts";
import { turnFile } from "../../src/migrate/template-file.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import type { World } from "../../src/templater/view.ts";
import { localContainer } from "../local-container.ts";
import { instance, worldOf } from "../templater/golden/world.ts";

function turn(text: string, language: Language = consulTemplateLanguage) {
  const notes: Note[] = [];
  const files = turnFile({ text, path: "a.tmpl", line: 1, language }, "templates/a.hbs", notes);
  return { text: files[0]?.text, files, notes };
}

const world = worldOf([
  instance({ id: "h1:web-1:80", port: 8001, tags: ["http", "blue"], meta: { v: "1" } }),
  instance({ id: "h2:web-1:80", node: "h2", address: "10.0.0.2", port: 8002 }),
  instance({ id: "h1:db-1:5432", service: "db", port: 5432, tags: ["master"], role: "master" }),
]);

/** What a turned template gives. */
function rendered(text: string, language?: Language, of: World = world): string {
  const { files, notes } = turn(text, language);
  expect(notes.filter(({ kind }) => kind === "missing")).toEqual([]);
  const [main, ...others] = files.map(({ path, text: body }) => ({ path: `/${path}`, text: body }));
  const partials = new Map(others.map((file) => [file.path.replace(/^.*\/|\.hbs$/g, ""), file]));
  const source = { path: "/a.hbs", text: main?.text ?? "", partials, format: "text" as const };
  const result = renderTemplate(compileTemplate(source), of);
  return result.status === "rendered" ? result.text : "it waits";
}

describe("a template of consul-template", () => {
  it.each<[go: string, text: string]>([
    // Expressions.
    [
      '{{ range service "web" }}{{ .Node }} {{ .Address }}:{{ .Port }};{{ end }}',
      "h1 10.0.0.1:8001;h2 10.0.0.2:8002;",
    ],
    ['{{ range service "blue.web" }}{{ .ID }}{{ end }}', "h1:web-1:80"],
    ['{{ range service "web|any" }}{{ .Name }} {{ end }}', "web web "],
    ['{{ range service "nothing" }}x{{ else }}none{{ end }}', "none"],
    ['{{ with service "db" }}{{ with index . 0 }}{{ .Port }}{{ end }}{{ end }}', "5432"],
    ["{{ range services }}{{ .Name }}{{ if in .Tags `http` }}!{{ end }} {{ end }}", "db web! "],
    ['{{ range service "web" }}[{{ .ServiceMeta.v }}]{{ end }}', "[1][]"],
    ['{{ range service "web" }}{{ if eq .ServiceMeta.v "1" "2" }}a{{ else }}b{{ end }}{{ end }}', "ab"],
    ['{{ range $i, $s := service "web" }}{{ add 1 $i }}{{ $s.Node }}{{ end }}', "1h12h2"],
    ['{{ range $tag, $all := service "web" | byTag }}{{ $tag }}={{ len $all }} {{ end }}', "blue=1 http=1 "],
    ['{{ subtract 2 5 }}{{ "a-b" | split "-" | join "+" }}{{ "x.y" | replaceAll "." "_" }}', "3a+bx_y"],
    ['{{ range service "web" }}{{ .Tags | join ", " }};{{ end }}', "blue, http;;"],
    ['{{ printf "%s:%d" "a" 1 }}{{ "{{" }}', "a:1{{"],
    ['{{ "web-12" | regexReplaceAll "[0-9]+" "n" | toUpper }}', "WEB-N"],
    [
      '{{ range service "web" }}{{ if .Tags | containsAll (parseJSON `["blue","http"]`) }}{{ .Node }}{{ end }}{{ end }}',
      "h1",
    ],
    // Variables.
    ['{{ $x := "a" }}{{ $x }}{{ $y := "b" }}{{ if true }}{{ $y = "c" }}{{ end }}{{ $y }}', "ac"],
    ['{{ $x := env "NONE" }}{{ if true }}{{ $x := env "B" }}{{ end }}[{{ $x }}]', "[]"],
    [
      "{{ range services }}{{ $s := . }}{{ range service .Name }}{{ $s.Name }}{{ .Port }} {{ end }}{{ end }}",
      "db5432 web8001 web8002 ",
    ],
    [
      '{{ range service "web" }}{{ scratch.MapSet "m" .Node .Port }}{{ end }}{{ range scratch.MapValues "m" }}{{ . }} {{ end }}',
      "8001 8002 ",
    ],
    // As Go has it: tags by their letters, texts without the blanks around them, groups by their whole names.
    ['{{ range service "web" }}{{ range .Tags }}{{ . }} {{ end }}{{ end }}', "blue http "],
    [
      '{{ with index (service "web") 0 }}{{ index .Tags 0 }} {{ .Tags | join "+" }} {{ .Tags | toJSON }}{{ end }}',
      'blue blue+http ["blue","http"]',
    ],
    [
      '{{ " a,b " | split "," | join "|" }} {{ range envOrDefault "LIST" " x,y " | split "," }}[{{ . }}]{{ end }}',
      "a|b [x][y]",
    ],
    [`{{ "a-1" | regexReplaceAll "([a-z])-(.)" "$\{2}0$1 $$\\\\." }}`, "10a $\\."],
    ["{{ sprig_default 5 0 }} {{ sprig_coalesce 0 2 }}", "5 2"],
    // What was put aside in a map is there under its name.
    [
      '{{ range service "web" }}{{ scratch.MapSet "m" .Node .Port }}{{ end }}{{ range $k, $v := scratch.Get "m" }}{{ $k }}={{ $v }} {{ end }}',
      "h1=8001 h2=8002 ",
    ],
    // Included templates.
    ['{{ define "s" }}{{ .Node }};{{ end }}{{ range service "web" }}{{ template "s" . }}{{ end }}', "h1;h2;"],
    // Lines.
    ["a\n{{- if true }}\n  b\n{{- end }}\nc\n", "a\n  b\nc\n"],
    ['a{{ range service "none" }}\n  b\n{{ end }}\nc\n', "a\nc\n"],
    ['a\n{{ range service "web" }}\n  {{ .Node }}{{ end }}\nc\n', "a\n  h1\n  h2\nc\n"],
    ['a\n    {{ range service "web" }}\n    {{ .Node }}\n    {{ end }}\nc\n', "a\n    h1\n    h2\nc\n"],
    ['x{ {{- range service "web" }} {{ .Node }}; {{- end }}}', "x{ h1; h2;}"],
    ["C:\\{{ env `NONE` }}x", "C:\\x"],
    ["{{ if false }}a\n{{ else if true }}b{{ else }}c\n{{ end }}\nd", "b\nd"],
  ])("%s", (go, text) => {
    expect(rendered(go)).toBe(text);
  });

  it.each<[go: string, why: RegExp]>([
    ["{{ timestamp }}", /never equals itself/],
    ['{{ with secret "a" }}x{{ end }}', /secrets out of the file/],
    ['{{ plugin "/bin/x" }}', /templates start nothing/],
    ['{{ range service "web@dc2" }}x{{ end }}', /one backend is one datacenter/],
    ['{{ range service "web" }}{{ .Checks }}{{ end }}', /\.Checks/],
    ["{{ bogus }}", /bogus is unknown/],
    ["{{ .Name }}", /the dot has no value/],
    ["{{ range services }}{{ break }}{{ end }}", /a loop goes on/],
    // Fields have other names here, so they are never asked of what nobody knows.
    ['{{ service "web" | toJSON }}', /its fields have other names here/],
    ['{{ range service "web" }}{{ scratch.MapSet "m" .Node . }}{{ end }}', /its fields have other names/],
    ['{{ "a1" | regexReplaceAll "([a-z])" "$1x" }}', /the group 1x, which is not there/],
    ["{{ divide 2.0 7 }}", /2\.0 is a whole one here/],
  ])("%s is told and leaves a gap that does not compile", (go, why) => {
    const { text, notes } = turn(`first\n${go}`);
    const missing = notes.filter(({ kind }) => kind === "missing");
    expect(missing).toEqual([
      { kind: "missing", at: "a.tmpl:2", what: expect.any(String), why: expect.stringMatching(why) },
    ]);
    const source = { path: "/a.hbs", text: text ?? "", partials: new Map(), format: "text" as const };
    expect(() => compileTemplate(source)).toThrow(/unknown helper "notTurned"/);
  });

  it("what reads the lines of a gap is turned where it is known, and told where it is not", () => {
    const { text: known } = turn('{{ range $s := service "web@dc2" }}{{ .Address }}{{ $s.Port }}{{ end }}');
    expect(known).toMatch(/^\{\{#each \(notTurned ".*"\) as \|s\|\}\}\n\{\{address\}\}\{\{s\.port\}\}/);
    const { notes } = turn('{{ with secret "a" }}{{ .Data.x }}{{ end }}');
    expect(notes.map(({ what }) => what)).toEqual(['{{ with secret "a" }}', "{{ .Data.x }}"]);
    const mixed = turn(
      '{{ define "x" }}{{ range . }}{{ .Name }}{{ end }}{{ end }}{{ template "x" service "web" }}{{ template "x" services }}',
    );
    expect(mixed.notes).toContainEqual(
      expect.objectContaining({
        kind: "missing",
        what: "{{ .Name }}",
        why: expect.stringMatching(/several kinds/),
      }),
    );
  });

  it("that Go cannot read is told with its line", () => {
    expect(turn("a\n{{ if true }}\nb").notes).toEqual([
      expect.objectContaining({ at: "a.tmpl:2", why: expect.stringMatching(/has no \{\{end\}\}/) }),
    ]);
    expect(turn("a {{ end }}").notes[0]?.why).toMatch(/stands in no block/);
    expect(turn("{{ x").notes[0]?.why).toMatch(/not closed/);
  });

  it("tells what became something else", () => {
    expect(turn("{{ range services }}{{ .Name }}{{ end }}").notes).toEqual([
      expect.objectContaining({ kind: "different", at: "a.tmpl:1", what: "services" }),
    ]);
  });
});

describe("keys", () => {
  const etcd = confdLanguage({ prefix: "/prod", slash: true });
  const consul = confdLanguage({ prefix: "", slash: false });
  it.each<[go: string, language: Language, hbs: string]>([
    [
      '{{ key "a/b" }}{{ keyOrDefault "a" "x" }}',
      consulTemplateLanguage,
      '{{key "a/b"}}{{default (key "a" default="") "x"}}',
    ],
    [
      '{{ range ls "a" }}{{ .Key }}={{ .Value }}{{ end }}',
      consulTemplateLanguage,
      '{{#each (ls "a")}}\n{{key}}={{value}}{{/each}}',
    ],
    ['{{ getv "/a" "x" }}', etcd, '{{key "/prod/a" default="x"}}'],
    ['{{ if exists "/a" }}x{{ end }}', consul, '{{#if (keyExists "a")}}\nx{{/if}}'],
    [
      '{{ range gets "/a/*" }}{{ base .Key }} {{ .Value }}{{ end }}',
      consul,
      '{{#each (ls "a" required=true)}}\n{{key}} {{value}}{{/each}}',
    ],
    ['{{ getv (printf "/a/%s" "b") }}', etcd, '{{key (printf "/prod/a/%s" "b")}}'],
  ])("%s", (go, language, hbs) => {
    expect(turn(go, language)).toMatchObject({ text: hbs });
    const source = { path: "/a.hbs", text: hbs, partials: new Map(), format: "text" as const };
    expect(() => compileTemplate(source)).not.toThrow();
  });
});

describe("a template of docker-gen", () => {
  it.each<[go: string, hbs: string]>([
    ["{{ $.Env.HOST }}{{ len $ }}", '{{env "HOST" default=""}}{{len (containers)}}'],
    [
      '{{ range where $ "Env.A.B" "x" }}{{ .Name }}{{ index .Labels "c.d" }}{{ end }}',
      '{{#each (where (containers) "env.A.B" "x")}}\n{{name}}{{default (lookup labels "c.d") ""}}{{/each}}',
    ],
    ['{{ range whereLabelExists $ "x.y" }}a{{ end }}', '{{#each (containers label="x.y")}}\na{{/each}}'],
  ])("%s", (go, hbs) => {
    expect(turn(go, dockerGenLanguage).text).toBe(hbs);
  });

  const containers = {
    all: false,
    containers: [
      localContainer({
        name: "api-1",
        labels: { "app.tier": "back" },
        env: { VIRTUAL_HOST: "a.x,b.x", VIRTUAL_PORT: "90" },
        volumes: { "/data": { path: "/data", hostPath: "/srv", readWrite: true } },
      }),
      localContainer({ name: "db-1", labels: { "app.tier": "" } }),
      localContainer({ name: "web-1", env: { VIRTUAL_HOST: "a.x" } }),
    ],
  };
  it.each<[go: string, text: string]>([
    ["{{ range . }}{{ .Name }} {{ end }}", "api-1 db-1 web-1 "],
    [
      '{{ range $host, $all := groupByMulti $ "Env.VIRTUAL_HOST" "," }}{{ $host }}:{{ range $all }} {{ .Name }}{{ end }};{{ end }}',
      "a.x: api-1 web-1;b.x: api-1;",
    ],
    ['{{ range $tier, $all := groupByLabel $ "app.tier" }}{{ $tier }}={{ len $all }} {{ end }}', "back=1 "],
    ['{{ range whereLabelExists $ "app.tier" }}{{ .Name }} {{ end }}', "api-1 db-1 "],
    ['{{ range whereExist $ "Env.VIRTUAL_PORT" }}{{ .Name }}{{ end }}', "api-1"],
    [
      '{{ range $c := where $ "Name" "web-1" }}{{ (index $c.Networks 0).Gateway }} {{ (index $c.Addresses 0).Port }}{{ end }}',
      "172.17.0.1 80",
    ],
    [
      "{{ range $ }}{{ range $path, $v := .Volumes }}{{ $path }}<{{ $v.HostPath }}{{ end }}{{ end }}",
      "/data</srv",
    ],
    [
      "{{ range $ }}{{ if .State.Running }}{{ .Image.Repository }}:{{ .Image.Tag }} {{ end }}{{ end }}",
      "web:1 web:1 web:1 ",
    ],
    ["{{ range $ }}{{ len .PublishedAddresses }}{{ end }}", "000"],
    ['{{ range whereNot $ "Name" "db-1" }}{{ .Name }} {{ end }}', "api-1 web-1 "],
    ['{{ range whereNotExist $ "Env.VIRTUAL_HOST" }}{{ .Name }}{{ end }}', "db-1"],
    ['{{ range whereLabelDoesNotExist $ "app.tier" }}{{ .Name }} {{ end }}', "db-1 web-1 "],
    ['{{ range whereAny $ "Env.VIRTUAL_HOST" "," (split "b.x,c.x" ",") }}{{ .Name }}{{ end }}', "api-1"],
    ['{{ range whereAll $ "Env.VIRTUAL_HOST" "," (split "a.x,b.x" ",") }}{{ .Name }}{{ end }}', "api-1"],
    ['{{ range groupByKeys $ "Env.VIRTUAL_HOST" }}{{ . }};{{ end }}', "a.x;a.x,b.x;"],
    ["{{ range $k := keys (index $ 0).Env }}{{ $k }} {{ end }}", "VIRTUAL_HOST VIRTUAL_PORT "],
    ['{{ range intersect (split "a,b,c" ",") (split "c,b,x" ",") }}{{ . }}{{ end }}', "bc"],
    ['{{ range sortStringsDesc (split "a,c,b" ",") }}{{ . }}{{ end }}', "cba"],
    ['{{ range sortObjectsByKeysDesc $ "Name" }}{{ .Name }} {{ end }}', "web-1 db-1 api-1 "],
    [
      '{{ range $ }}{{ when (eq .Name "db-1") "d" "-" }}{{ ternary "p" "n" (contains .Env "VIRTUAL_PORT") }}{{ end }}',
      "-pdn-n",
    ],
    ['{{ if exists "/nowhere" }}yes{{ else }}no{{ end }}{{ include "/nowhere" }}', "no"],
    ['{{ define "s" }}{{ .Name }};{{ end }}{{ range $ }}{{ eval "s" . }}{{ end }}', "api-1;db-1;web-1;"],
    ["{{ with .CurrentContainer }}{{ .Name }}{{ end }}", "web-1"],
    ['{{ $own := where $ "ID" "none" | first }}{{ with $own }}{{ .Name }}{{ else }}none{{ end }}', "none"],
    ['{{ range where $ "Name" "web-1" }}{{ printf "%.3s" .Name }}{{ end }}', "web"],
    ['{{ range where $ "ID" .Docker.CurrentContainerID }}{{ .Name }}{{ end }}', "web-1"],
    ['{{ range groupByWithDefault $ "Env.VIRTUAL_PORT" "80" }}{{ len . }} {{ end }}', "2 1 "],
  ])("%s, over containers", (go, text) => {
    expect(rendered(go, dockerGenLanguage, { ...world, containers, ownContainer: "web-1" })).toBe(text);
  });
});
