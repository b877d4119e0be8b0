// `node --expose-gc main.js ROOT DIR`: rendering beside bare Handlebars; see ../README.md. Prints the results as JSON.
import { join } from "node:path";
import { compileTemplate, renderTemplate, type Template } from "../../../src/templater/render.ts";
import { type Aim, type Result, resultOf, type Samples } from "../result.ts";
import { type Keeper, startBareKeeper, startKeeper } from "./swapped.ts";
import { type BenchTemplate, createBare, readTemplates } from "./templates.ts";
import { changed, createServices, type Services } from "./world.ts";

const sizes = [10, 1_000, 10_000];
const samples = 12;
/** Of swaps of a few lines, of which each takes a moment only. */
const manySamples = 100;
/** Turns of both that are taken and forgotten: code is compiled. */
const warming = 3;
/** Of a whole templater, where a turn takes a moment only: it has run for a while. */
const longWarming = 30;
const subject = "render";

const [root = ".", dir = "."] = process.argv.slice(2);
/** The same for all, as in a templater: what is remembered counts for one environment. */
const env = {};

const compile = ({ text }: BenchTemplate) =>
  compileTemplate({ path: "/bench/haproxy.cfg.hbs", text, partials: new Map(), format: "haproxy" });

function textOf(template: Template, services: Services): string {
  const snapshot = { services, complete: true, invalid: new Map<string, string>() };
  const rendered = renderTemplate(template, { snapshot, env, node: "bench" });
  if (rendered.status !== "rendered" || rendered.refused.length > 0) throw new Error("not all was rendered");
  return rendered.text;
}

function timed(render: () => string): { readonly ms: number; readonly bytes: Buffer } {
  const begun = performance.now();
  const bytes = Buffer.from(render());
  return { ms: performance.now() - begun, bytes };
}

/** Both in turn, of the same services; they have to give the same bytes. */
function measure(
  next: (at: number) => Services,
  product: (services: Services) => string,
  floor: (services: Services) => string,
): Samples {
  const took: Samples = { product: [], floor: [] };
  for (let at = -warming; at < samples; at += 1) {
    const services = next(at);
    const bottom = timed(() => floor(services));
    const top = timed(() => product(services));
    if (!top.bytes.equals(bottom.bytes)) throw new Error(`${services.size} services: two different texts`);
    if (at < 0) continue;
    took.product.push(top.ms);
    took.floor.push(bottom.ms);
  }
  return took;
}

/** One service after the other changes. */
function changing(size: number): (at: number) => Services {
  let services = createServices(size);
  return (at) => {
    services = changed(services, `service-${(at + longWarming) % size}`, 1_000 + at);
    return services;
  };
}

/** MB that stay in use after a change was rendered. */
function kept(size: number, render: (services: Services) => string): number {
  const next = changing(size);
  const services = next(0);
  const before = heap();
  const text = render(services);
  const after = heap();
  if (text === "") throw new Error(`${size} services: no text`);
  return (after - before) / 1024 / 1024;
}

function heap(): number {
  global.gc?.();
  return process.memoryUsage().heapUsed;
}

async function measureSwaps(template: BenchTemplate, size: number): Promise<Samples> {
  const place = join(dir, `${size}-${template.name}`);
  const isSmall = size === Math.min(...sizes);
  const [turns, forgotten] = isSmall ? [manySamples, longWarming] : [samples, warming];
  const product = await startKeeper(template, join(place, "product"));
  const floor = await startBareKeeper(createBare(template), join(place, "floor"));
  const next = changing(size);
  const took: Samples = { product: [], floor: [] };
  const show = async (keeper: Keeper, services: Services) => {
    const ms = await keeper.show(services);
    // Whatever is left to be done after the swap is not to meet the other's turn.
    await new Promise((resolve) => setTimeout(resolve, 50 + size / 20));
    return ms;
  };
  for (let at = -forgotten; at < turns; at += 1) {
    const services = next(at);
    const bottom = await show(floor, services);
    const top = await show(product, services);
    if (at < 0) continue;
    took.floor.push(bottom);
    took.product.push(top);
  }
  await Promise.all([product.stop(), floor.stop()]);
  return took;
}

const results: Result[] = [];
for (const template of readTemplates(root)) {
  for (const size of sizes) {
    const note = (what: string, unit: Result["unit"], took: Samples, aim?: Aim) =>
      results.push(resultOf(subject, `${template.name}, ${size} services: ${what}`, unit, took, aim));
    const bare = createBare(template);
    const remembering = compile(template);
    const isLargest = size === 10_000;
    note(
      "one changes → text",
      "ms",
      measure(changing(size), (services) => textOf(remembering, services), bare),
      isLargest ? { below: 100 } : undefined,
    );
    note(
      "all are new → text",
      "ms",
      measure(
        () => createServices(size),
        (services) => textOf(compile(template), services),
        bare,
      ),
      isLargest ? { below: 1_000 } : undefined,
    );
    note("one changes → file swapped", "ms", await measureSwaps(template, size), { ratio: 1.3 });
    const memory = {
      product: [kept(size, (services) => textOf(remembering, services))],
      floor: [kept(size, bare)],
    };
    note("memory kept for the next one, with the text", "MB", memory);
  }
}
process.stdout.write(JSON.stringify(results));
process.exit(0);
