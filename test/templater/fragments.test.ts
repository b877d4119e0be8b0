import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import { createBudget } from "../../src/handlebars/budget.ts";
import { compare, type Instance } from "../../src/instance.ts";
import { type Format, formatOf } from "../../src/templater/escape/format.ts";
import { turnOf } from "../../src/templater/fragments.ts";
import { compileTemplate, renderTemplate, type Template } from "../../src/templater/render.ts";
import type { World } from "../../src/templater/view.ts";
import fc from "../property.ts";
import { instance, worldOf } from "./golden/world.ts";

const compile = (text: string, format: Format = "text") =>
  compileTemplate({ path: "t.hbs", text, partials: new Map(), format });

const folder = join(import.meta.dirname, "../../templates");
const shipped = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")] as const);

/** What must not be remembered, or not without what it reads besides the item. */
const tricky: readonly (readonly [name: string, text: string])[] = [
  ["@index", '{{#each (service "a" state="any")}}{{@index}} {{@first}} {{@last}} {{id}} {{/each}}'],
  ["@index inside", "{{#each (services)}}{{#each instances}}{{@index}}{{id}} {{/each}}{{/each}}"],
  ["@index in with", "{{#each (services)}}{{#with name}}{{@index}}{{/with}}{{/each}}"],
  [
    "@key",
    '{{#each (byTag (service "a" state="any")) as |list tag|}}{{tag}} {{@key}} {{len list}} {{/each}}',
  ],
  ["..", "{{#each (services)}}{{#each instances}}{{../name}} {{len ../instances}} {{/each}}{{/each}}"],
  [".. of itself", "{{#with (services)}}{{#each this}}{{#with this}}{{len ..}} {{/with}}{{/each}}{{/with}}"],
  [
    "names around",
    "{{#each (services) as |one|}}{{#each one.instances as |i|}}{{one.name}}{{i.id}}{{node}} {{/each}}{{/each}}",
  ],
  [
    "a list around",
    '{{#with (service "b") as |bs|}}{{#each (service "a")}}{{id}} {{len bs}} {{/each}}{{/with}}',
  ],
  ["another service", '{{#each (service "a")}}{{id}}{{#each (service "b")}}{{port}}{{/each}} {{/each}}'],
  ["the environment", '{{#each (service "a")}}{{id}}{{env "MORE" default="-"}} {{/each}}'],
  [
    "put aside",
    '{{#each (service "a")}}{{get "n" default=0}}{{set "n" (add 1 (get "n" default=0))}}{{id}} {{/each}}',
  ],
  ["two blocks", '{{#each (service "a")}}{{id}}{{/each}} {{#each (service "a")}}{{port}}{{/each}}'],
  [
    "equal names",
    "{{#each (services) as |x|}}{{#each x.instances as |x|}}{{x.id}} {{/each}}{{x.name}} {{/each}}",
  ],
];

/** One step: an instance comes, changes or goes. */
const changes = fc.record({
  service: fc.constantFrom("a", "b", "c"),
  id: fc.integer({ min: 0, max: 3 }).map(String),
  goes: fc.boolean(),
  env: fc.constantFrom("-", "more"),
  node: fc.constantFrom("lb1", "lb1", "lb2"),
  fields: fc.record(
    {
      state: fc.constantFrom("ready" as const, "ready" as const, "draining" as const),
      port: fc.integer({ min: 1, max: 3 }),
      address: fc.constantFrom("10.0.0.1", "10.0.0.2", "fd00::1"),
      tags: fc.subarray(["x", "y"]),
      role: fc.constantFrom("master" as const, "slave" as const),
      meta: fc.dictionary(
        fc.constantFrom(
          "http_host",
          "http_path",
          "http_sticky",
          "http_check",
          "listen_port",
          "write_port",
          "read_port",
          "metrics",
          "backup",
        ),
        fc.constantFrom("a.com", "b.com,a.com", "*.b.com", "/x", "true", "5432", "5433", "two words", ""),
        { maxKeys: 4 },
      ),
    },
    { requiredKeys: ["state", "port", "address"] },
  ),
});

/** The next snapshot, in which everything else is the same object. */
function following(
  snapshot: Snapshot,
  change: Partial<Instance> & Pick<Instance, "id" | "service">,
  goes: boolean,
) {
  const others = (snapshot.services.get(change.service) ?? []).filter(({ id }) => id !== change.id);
  const list = goes ? others : [...others, instance(change)].sort((a, b) => compare(a.id, b.id));
  const services = new Map(snapshot.services).set(change.service, list);
  const sorted = new Map([...services].sort(([a], [b]) => compare(a, b)));
  return { ...snapshot, services: sorted };
}

/** What a render came to, as a value. */
function outcome(template: Template, world: World): unknown {
  try {
    return renderTemplate(template, world);
  } catch (error) {
    return String(error);
  }
}

describe("what was rendered before", () => {
  it.each([...shipped, ...tricky])("changes nothing in %s", (name, text) => {
    const format = formatOf(name);
    const [template, anew] = [compile(text, format), compile(text, format)];
    const runs = fc.array(changes, { minLength: 1, maxLength: 12 });
    const property = fc.property(runs, (steps) => {
      const environments = { "-": {}, more: { MORE: "more", PORTOLAN_HTTPS_BIND: ":443" } };
      let { snapshot } = worldOf([]) as { snapshot: Snapshot };
      for (const { service, id, goes, fields, env, node } of steps) {
        snapshot = following(snapshot, { service, id: `h:${service}${id}`, ...fields }, goes);
        const world = { snapshot, env: environments[env], node };
        expect(outcome(template, world)).toEqual(outcome(anew, structuredClone(world)));
      }
    });
    fc.assert(property, { numRuns: 15 });
  });

  it("is not rendered again", () => {
    let asked = 0;
    const counted = instance({ service: "a", id: "1" });
    Object.defineProperty(counted, "address", {
      enumerable: true,
      get: () => {
        asked += 1;
        return "10.0.0.1";
      },
    });
    const template = compile(
      "{{#each (services) as |one|}}{{#each one.instances}}{{address}} {{/each}}{{/each}}",
    );
    let { snapshot } = worldOf([counted]) as { snapshot: Snapshot };
    const env = {};
    const textOf = () => (outcome(template, { snapshot, env, node: "lb1" }) as { text: string }).text;
    textOf();
    asked = 0;
    snapshot = following(snapshot, { service: "b", id: "2", address: "10.0.0.2" }, false);
    expect(textOf()).toBe("10.0.0.1 10.0.0.2 ");
    expect(asked).toBe(0);
  });

  it("takes as many steps again", () => {
    const budget = createBudget(100);
    const [turns, item] = [new WeakMap(), {}];
    const render = () => {
      budget.spend(7);
      return "text";
    };
    expect(turnOf(turns, item, ["a"], budget, render)).toBe("text");
    expect(turnOf(turns, item, ["a"], budget, () => "another")).toBe("text");
    expect(budget.spent()).toBe(14);
    expect(turnOf(turns, item, ["b"], budget, () => "another")).toBe("another");
  });
});
