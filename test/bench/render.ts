import Handlebars from "handlebars";
import type { Snapshot } from "../../src/backends/backend.ts";
import type { Instance } from "../../src/instance.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import { type Result, resultOf, type Samples } from "./result.ts";

/** A pool for each service, in words that bare Handlebars understands too. */
const text = `{{#each (services)}}
backend {{name}}
{{#each instances}}
    server {{id}} {{address}}:{{port}} weight {{weight}}
{{/each}}
{{/each}}
`;

const sizes = [10, 1_000, 10_000];
const instancesEach = 10;
const changes = 12;
/** Turns of both that are taken and forgotten: code is compiled. */
const warming = 3;

/** One service of many changes: the text of all of them, rendered and as bytes; in this process, in turn. */
export function benchRender(): readonly Result[] {
  return sizes.map((size) => {
    const bare = createBare();
    const template = compileTemplate({
      path: "/bench/haproxy.cfg.hbs",
      text,
      partials: new Map(),
      format: "haproxy",
    });
    let services: Snapshot["services"] = world(size);
    const took: Samples = { product: [], floor: [] };
    for (let at = -warming; at < changes; at += 1) {
      services = changed(services, `service-${Math.abs(at) % size}`, 1_000 + at);
      const snapshot: Snapshot = { services, complete: true, invalid: new Map() };
      const floor = timed(() => bare(services));
      const product = timed(() => {
        const rendered = renderTemplate(template, { snapshot, env: {}, node: "bench" });
        return rendered.status === "rendered" ? rendered.text : "";
      });
      if (!product.bytes.equals(floor.bytes)) throw new Error(`${size} services: two different texts`);
      if (at < 0) continue;
      took.product.push(product.ms);
      took.floor.push(floor.ms);
    }
    return resultOf("render", `one of ${size} services of ${instancesEach} changes → text`, "ms", took);
  });
}

function timed(render: () => string): { readonly ms: number; readonly bytes: Buffer } {
  const begun = performance.now();
  const bytes = Buffer.from(render());
  return { ms: performance.now() - begun, bytes };
}

/** The same template with one helper: no admission, no limits, nothing noted. */
function createBare(): (services: Snapshot["services"]) => string {
  const environment = Handlebars.create();
  let now: Snapshot["services"] = new Map();
  environment.registerHelper("services", () =>
    [...now].map(([name, all]) => ({ name, instances: all.filter(({ state }) => state === "ready") })),
  );
  const render = environment.compile<unknown>(text, { noEscape: true });
  return (services) => {
    now = services;
    return render({});
  };
}

function world(size: number): Snapshot["services"] {
  const instances = (at: number) =>
    Array.from(
      { length: instancesEach },
      (_, index): Instance => ({
        id: `host-${index}:web-${at}:80`,
        service: `service-${at}`,
        address: `10.${index}.${at >> 8}.${at & 255}`,
        port: 32_768 + index,
        protocol: "tcp",
        tags: ["blue"],
        meta: {},
        weight: 1,
        state: "ready",
        node: `host-${index}`,
        owner: `host-${index}/ENGINE`,
      }),
    );
  return new Map(Array.from({ length: size }, (_, at) => [`service-${at}`, instances(at)]));
}

/** As a backend tells it: all that has not changed is the same object. */
function changed(services: Snapshot["services"], name: string, port: number): Snapshot["services"] {
  const list = (services.get(name) ?? []).map((one, at) => (at === 0 ? { ...one, port } : one));
  return new Map(services).set(name, list);
}
