import { describe, expect, it } from "vitest";
import type { LocalContainer } from "../../src/local-containers.ts";
import {
  type ContainerQuery,
  changedContainers,
  sameContainers,
  scopeOf,
} from "../../src/templater/containers.ts";
import type { Format } from "../../src/templater/escape/format.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import type { World } from "../../src/templater/view.ts";
import { localContainer } from "../local-container.ts";
import { worldOf } from "./golden/world.ts";

const web = localContainer({ name: "web-1", labels: { tier: "front", "com.example.zone": "a" } });
const api = localContainer({
  name: "api-1",
  labels: { tier: "" },
  env: { TOKEN: "s3cr3t value", PORT: "9000" },
});
const old = localContainer({
  name: "old",
  labels: { tier: "front" },
  state: { status: "exited", running: false, health: { status: "" }, exitCode: 137 },
});
const all = { containers: [api, old, web], all: true };

const render = (text: string, containers: World["containers"] = all, format: Format = "text") =>
  renderTemplate(compileTemplate({ path: "t.hbs", text, partials: new Map(), format }), {
    ...worldOf([]),
    containers,
  });

describe("which containers are chosen", () => {
  const cases: readonly (readonly [args: string, names: string])[] = [
    ["", "api-1 web-1 "],
    ['label="tier"', "api-1 web-1 "],
    ['label="tier=front"', "web-1 "],
    ['label="tier="', "api-1 "],
    ['label="com.example.zone=a"', "web-1 "],
    ['label="toString"', ""],
    ['name="web-1"', "web-1 "],
    ['name="web"', ""],
    ['network="bridge" label="tier"', "api-1 web-1 "],
    ['network="front"', ""],
    ['state="any"', "api-1 old web-1 "],
    ['state="exited"', "old "],
  ];
  it.each(cases)("(containers %s)", (args, names) => {
    expect(render(`{{#each (containers ${args})}}{{name}} {{/each}}`)).toMatchObject({ text: names });
  });

  it("a state that Docker does not have is a mistake", () => {
    expect(() => render('{{#each (containers state="up")}}{{/each}}')).toThrow(
      't.hbs:1:9: containers state "up" is not one of running, paused, restarting, created, exited, removing, dead, any',
    );
  });
});

describe("what is not known", () => {
  const text = '{{#each (containers state="any")}}{{/each}}';
  it("waits while nothing is known, and while only those that run are", () => {
    const waiting = { status: "waiting", for: ["the containers of this host"] };
    expect(renderTemplate(compiled(text), worldOf([]))).toMatchObject(waiting);
    expect(render(text, { containers: [web], all: false })).toMatchObject(waiting);
    expect(render("{{#each (containers)}}{{/each}}", { containers: [], all: false })).toMatchObject({
      text: "",
    });
  });

  it("is a mistake where nobody watches Docker, with the place and the way out", () => {
    const template = compiled("one\n{{len (containers)}}{{#if (containers)}}{{/if}}");
    expect(template.onlyInAgent).toEqual([
      expect.stringMatching(/^t\.hbs:2:7: containers reads the Docker of this host.*`portolan agent`/),
      expect.stringMatching(/^t\.hbs:2:27: /),
    ]);
    expect(() => render(text, "none")).toThrow("t.hbs:1:9: containers reads the Docker of this host");
  });
});

const compiled = (text: string) =>
  compileTemplate({ path: "t.hbs", text, partials: new Map(), format: "text" });

describe("which changes concern a template", () => {
  const front: ContainerQuery = { state: "running", label: { name: "tier", value: "front" } };
  const reads = { containers: new Map([["front", front]]) };
  const withWeb = (one: LocalContainer) => ({ containers: [api, old, one], all: true });

  it("those of the containers that it asked for, and no others", () => {
    const other = { containers: [localContainer({ ...api, labels: { tier: "back" } }), web], all: false };
    expect(sameContainers(reads, all, other)).toBe(true);
    expect(sameContainers(reads, all, withWeb({ ...web }))).toBe(false);
    expect(sameContainers(reads, all, { containers: [api], all: false })).toBe(false);
    expect(sameContainers(reads, undefined, { containers: [], all: false })).toBe(false);
    expect(sameContainers({}, undefined, all)).toBe(true);
  });

  it("are told by the names of the containers", () => {
    expect([...changedContainers([front], all, withWeb({ ...web }))]).toEqual(["web-1"]);
    expect([...changedContainers([front], all, all)]).toEqual([]);
  });

  it("what stopped is asked of Docker only where a template wants it", () => {
    const asking = (...states: string[]) =>
      scopeOf([
        { services: new Set(), all: false, containers: new Map(states.map((state) => [state, { state }])) },
      ]);
    expect(scopeOf([{ services: new Set(), all: false }])).toBe("none");
    expect(asking("running", "paused")).toBe("running");
    expect(asking("running", "any")).toBe("all");
  });
});

describe("values that the file cannot hold", () => {
  const text = "{{#each (containers)}}server {{name}} {{env.TOKEN}};\n{{/each}}";
  const fine = localContainer({ ...web, env: { TOKEN: "plain" } });

  it("take out their container, and neither the file nor another container", () => {
    const rendered = render(text, { containers: [api, fine], all: false }, "nginx");
    expect(rendered).toMatchObject({ text: "server web-1 plain;\n", refused: [] });
    expect(rendered).toMatchObject({
      refusedContainers: [{ name: "api-1", reason: 't.hbs:1:39: {{env.TOKEN}} is "…", which holds a space' }],
    });
  });

  it("of a container, are told without the value: it may be a secret", () => {
    for (const expression of ["quote env.TOKEN", "ip env.TOKEN", "toUpper env.TOKEN"]) {
      const bad = localContainer({ ...api, env: { TOKEN: "s3cr3t\nvalue" } });
      const rendered = render(
        `{{#each (containers)}}{{${expression}}}{{/each}}`,
        { containers: [bad], all: false },
        "nginx",
      );
      expect(rendered).toMatchObject({ status: "rendered", text: "" });
      expect(JSON.stringify(rendered)).not.toMatch(/s3cr3t/i);
    }
  });

  it.each([
    "{{#each (containers)}}{{add env.TOKEN 1}}{{/each}}",
    "{{#each (containers)}}{{add (toUpper env.TOKEN) 1}}{{/each}}",
    "{{#each (containers)}}{{file env.TOKEN}}{{/each}}",
    "{{#each (containers)}}{{env env.TOKEN}}{{/each}}",
  ])("mistakes of a template do not show them either: %s", (template) => {
    let error: unknown;
    try {
      render(template);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "TEMPLATE" });
    const { message, stack, cause } = error as Error;
    expect(`${message}${stack}${String(cause)}`).not.toMatch(/s3cr3t/i);
  });
});
