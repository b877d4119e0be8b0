import { dirname } from "node:path";
import Handlebars from "handlebars";
import { PortolanError } from "../errors.ts";
import { createBudget, longestOutput, stepsFor, tooLong } from "../handlebars/budget.ts";
import { check, placeOf } from "../handlebars/check.ts";
import { didYouMean } from "../handlebars/did-you-mean.ts";
import { parseTemplate } from "../handlebars/parse.ts";
import { compare } from "../instance.ts";
import type { ContainerQuery } from "./containers.ts";
import { shown } from "./escape/admit.ts";
import { blame } from "./escape/blame.ts";
import type { Format } from "./escape/format.ts";
import { admitName, partialName, rawName, rewrite } from "./escape/rewrite.ts";
import { createFragments, type Fragments } from "./fragments.ts";
import { bindings, type Run, subjectsOf } from "./helpers/bind.ts";
import { serviceItems } from "./helpers/data.ts";
import { helpers } from "./helpers/index.ts";
import { createScratch } from "./helpers/scratch.ts";
import { masked } from "./secrets.ts";
import { markTurns } from "./turns.ts";
import { createView, isContainer, onlyInAgent, type Reads, type Refusable, type World } from "./view.ts";

/** The text of a template or partial, and its path for messages. */
export interface TemplateFile {
  readonly path: string;
  readonly text: string;
}

/** A template and all that it may include. */
export interface TemplateSource extends TemplateFile {
  /** By the name that `{{> name}}` uses. */
  readonly partials: ReadonlyMap<string, TemplateFile>;
  readonly format: Format;
}

/** A compiled template, to be rendered any number of times. */
export interface Template {
  readonly path: string;
  readonly format: Format;
  /** The texts in its expressions: what is refused may stand there instead of in an instance. */
  readonly literals: ReadonlySet<string>;
  /** Where it reads the containers of this host, one `file:line:column: …` each, for where that cannot be. */
  readonly onlyInAgent: readonly string[];
  /** What it has rendered in worlds with this environment and node. */
  readonly fragments: (world: World) => Fragments;
  /** Renders once, with the fields of `context` as names; throws whatever the template throws. */
  readonly run: (run: Run, context: object) => string;
}

/** An instance that was left out of a render. */
export interface Refused {
  readonly id: string;
  readonly service: string;
  /** `file:line:column: …` what it says that the file cannot hold. */
  readonly reason: string;
}

/** A container of this host that was left out of a render. */
export interface RefusedContainer {
  readonly name: string;
  /** `file:line:column: …` what it says that the file cannot hold, without secrets. */
  readonly reason: string;
}

/** What became of a render. */
export type Rendered =
  | {
      readonly status: "rendered";
      readonly text: string;
      readonly reads: Reads;
      readonly refused: readonly Refused[];
      /** Absent when there are none. */
      readonly refusedContainers?: readonly RefusedContainer[];
    }
  /** Something that it reads is not known yet. `for` says what, in words. */
  | { readonly status: "waiting"; readonly for: readonly string[]; readonly reads: Reads };

/** What became of a render for one service. */
export type RenderedService =
  | Rendered
  | { readonly status: "left out"; readonly reads: Reads; readonly refused: readonly Refused[] };

/**
 * Compiles a template. Throws TEMPLATE with every mistake that can be seen without data, one a line, each
 * with `file:line:column` and the way out.
 */
export function compileTemplate(source: TemplateSource): Template {
  const environment = Handlebars.create();
  for (const name of Object.keys(environment.helpers)) environment.unregisterHelper(name);
  for (const name of Object.keys(environment.decorators)) environment.unregisterDecorator(name);
  const options = {
    noEscape: true,
    knownHelpers: Object.fromEntries([...bindings.keys()].map((name) => [name, true])),
    knownHelpersOnly: true,
  };

  const problems: string[] = [];
  const literals = new Set<string>();
  const included = new Set<string>();
  const onlyInAgentAt: string[] = [];

  /** Handlebars wraps all helpers that it has for each render: it gets those whose names stand in the texts. */
  const register = (text: string) => {
    for (const [name, helper] of bindings)
      if (ownNames.has(name) || text.includes(name)) environment.registerHelper(name, helper);
  };

  const compile = (file: TemplateFile, chain: readonly string[]) => {
    const program = parseTemplate(environment, file);
    register(file.text);
    const found = check(program, helpers);
    problems.push(...found.problems);
    for (const literal of found.literals) literals.add(literal);
    for (const { name, at } of found.calls)
      if (name === "containers") onlyInAgentAt.push(`${at}: containers ${onlyInAgent}`);
    for (const { name, at } of found.partials) {
      const partial = source.partials.get(name);
      if (partial === undefined) {
        const known = [...source.partials.keys()];
        problems.push(
          `${at}: unknown partial "${name}"${didYouMean(name, known) || "; put it beside the template"}`,
        );
      } else if (chain.includes(name)) {
        problems.push(`${at}: the partial "${name}" includes itself; use {{#each}} to repeat something`);
      } else if (!included.has(name)) {
        environment.registerPartial(name, compile(partial, [...chain, name]));
        included.add(name);
      }
    }
    markTurns(program);
    rewrite(program, source.format);
    return environment.compile<unknown>(program, options);
  };

  const main = compile(source, []);
  if (problems.length > 0) throw new PortolanError("TEMPLATE", problems.join("\n"));
  return {
    path: source.path,
    format: source.format,
    literals,
    onlyInAgent: onlyInAgentAt,
    fragments: createFragments(),
    run: (run, context) =>
      main(context, {
        data: { run },
        allowProtoMethodsByDefault: false,
        allowProtoPropertiesByDefault: false,
      }),
  };
}

/** Helpers that `rewrite` puts into templates. */
const ownNames: ReadonlySet<string> = new Set([admitName, rawName, partialName]);

/**
 * Renders a template. An instance with a value that the file cannot hold is left out and reported; each round
 * leaves out at least one more, so it comes to an end. Throws TEMPLATE for a mistake of the template, and for
 * a value that it cannot hold and that stands in no instance.
 *
 * With `service` the template sees that one as `(services)` lists it: `name`, `tags`, `instances`. A service of
 * which nothing is left, and whose name the file cannot hold either, is left out.
 */
export function renderTemplate(template: Template, world: World): Rendered;
export function renderTemplate(template: Template, world: World, service: string): RenderedService;
export function renderTemplate(template: Template, world: World, service?: string): RenderedService {
  const refused = new Map<Refusable, string>();
  const doubtful = new Set<Refusable>();
  const containers = new Map<string, ContainerQuery>();
  const services = new Set<string>();
  const files = new Set<string>();
  const keys = new Set<string>();
  const trees = new Set<string>();
  let all = false;

  const limit = stepsFor(sizeOf(world));
  let spent = 0;
  let tries = 0;

  const attempt = (without: ReadonlySet<Refusable>): Attempt => {
    const result = renderFrom(template, world, without, limit, service, tries++ < triesFromMemory);
    spent += result.spent;
    // Whatever was refused on the way: it would take as long again.
    if (result.error && result.spent > limit) throw result.error;
    for (const name of result.reads.services) services.add(name);
    all ||= result.reads.all;
    for (const path of result.reads.files ?? []) files.add(path);
    for (const key of result.reads.keys ?? []) keys.add(key);
    for (const path of result.reads.trees ?? []) trees.add(path);
    for (const [key, query] of result.reads.containers ?? []) containers.set(key, query);
    return result;
  };

  for (;;) {
    const result = attempt(new Set(refused.keys()));
    const reads = {
      services,
      all,
      ...(files.size > 0 && { files }),
      ...(keys.size > 0 && { keys }),
      ...(trees.size > 0 && { trees }),
      ...(containers.size > 0 && { containers }),
    };
    if (result.unknown.length > 0) return { status: "waiting", for: result.unknown, reads };
    if (result.refusals.length === 0) {
      if (result.error) throw result.error;
      const text = readmit(result.text, refused, doubtful, (without) =>
        spent < limit ? attempt(without) : undefined,
      );
      const left = reportContainers(refused);
      const refusedContainers = left.length > 0 && { refusedContainers: left };
      return { status: "rendered", text, reads, refused: report(refused), ...refusedContainers };
    }
    const before = refused.size;
    for (const { instances, reason } of result.refusals) {
      for (const instance of instances) {
        if (!refused.has(instance)) refused.set(instance, reason);
        if (instances.length > 1) doubtful.add(instance);
      }
    }
    if (refused.size === before) {
      const own = service === undefined ? [] : (world.snapshot?.services.get(service) ?? []);
      if (own.length > 0 && own.every((instance) => refused.has(instance)))
        return { status: "left out", reads, refused: report(refused) };
      const orphans = new Set(result.refusals.map(({ orphan }) => orphan));
      throw new PortolanError("TEMPLATE", [...orphans].join("\n"));
    }
    if (spent > mostRounds * limit) {
      const found = `${refused.size} instances hold values that the file cannot, and there are more`;
      throw new PortolanError(
        "TEMPLATE",
        `${template.path}: ${found}; finding them one by one takes too long`,
      );
    }
  }
}

/** So many tries begin with what is remembered: where one value is refused, the second one is good. */
const triesFromMemory = 2;

/** How often all steps of a render may be taken again because of refused values. */
const mostRounds = 3;

function sizeOf({ snapshot, containers }: World): number {
  let size = typeof containers === "object" ? containers.containers.length : 0;
  for (const instances of snapshot?.services.values() ?? []) size += instances.length;
  return size;
}

/** One try: a text, or what stands against it. */
interface Attempt {
  readonly text: string;
  readonly error: PortolanError | undefined;
  readonly refusals: readonly Refusal[];
  readonly unknown: readonly string[];
  readonly reads: Reads;
  /** Of the budget. */
  readonly spent: number;
}

interface Refusal {
  /** Those that hold the value; none when it comes from elsewhere. */
  readonly instances: readonly Refusable[];
  readonly reason: string;
  /** What to say when it stands in no instance: without the value, which may be a secret. */
  readonly orphan: string;
}

/** Whose fault a refused value is shows only in all that the template reads: where one is, nothing is remembered. */
function renderFrom(
  template: Template,
  world: World,
  without: ReadonlySet<Refusable>,
  limit: number,
  service: string | undefined,
  fromMemory: boolean,
): Attempt {
  if (fromMemory) {
    const result = renderOnce(template, world, without, limit, service, template.fragments(world));
    if (result.error === undefined || result.spent > limit) return result;
  }
  return renderOnce(template, world, without, limit, service, undefined);
}

/** With `fragments` it gives up at the first value that is refused. */
function renderOnce(
  template: Template,
  world: World,
  without: ReadonlySet<Refusable>,
  limit: number,
  service: string | undefined,
  fragments: Fragments | undefined,
): Attempt {
  const view = createView(world, without);
  const budget = createBudget(limit);
  const { format, literals } = template;
  const refusals: Refusal[] = [];
  const run: Run = {
    fragments,
    at: { source: "", loc: { source: template.path, start, end: start }, data: undefined },
    call: {
      format,
      view,
      budget,
      scratch: createScratch(),
      folder: dirname(template.path),
      literals,
      refuse(instance, reason) {
        if (fragments) throw new Error("refused");
        refusals.push({ instances: [instance], reason: `${placeOf(run.at.loc)}: ${reason}`, orphan: "" });
      },
      refuseValue(value, reason, accepts) {
        if (fragments) throw new Error("refused");
        const { loc, source, data } = run.at;
        const at = placeOf(loc);
        const instances = blame({ value, accepts, subjects: subjectsOf(data), view, literals, budget });
        const inContainer = instances.some(isContainer);
        const written = format === "json" || format === "yaml" || format === "toml" ? "json" : "quote";
        const wayOut = source.startsWith("quote") ? "change it" : `change it, or write {{${written} …}}`;
        const orphan = `${at}: the value of {{${source}}} cannot stand in a ${format} file, and no instance holds it; ${wayOut}`;
        const told = reason(inContainer ? masked : shown(value));
        refusals.push({ instances, reason: `${at}: ${told}`, orphan });
      },
    },
  };
  let text = "";
  let error: PortolanError | undefined;
  try {
    const context = service === undefined ? {} : serviceItems({}, budget)(service, view.service(service));
    text = template.run(run, context);
    if (text.length > longestOutput) error = new PortolanError("TEMPLATE", `${template.path}: ${tooLong}`);
  } catch (thrown) {
    error = asTemplateError(template, thrown);
  }
  return { text, error, refusals, unknown: view.unknown(), reads: view.reads(), spent: budget.spent() };
}

const start = { line: 1, column: 0 };

function asTemplateError(template: Template, thrown: unknown): PortolanError {
  if (thrown instanceof PortolanError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PortolanError("TEMPLATE", `${template.path}: ${message}`, { cause: thrown });
}

/** How many instances are tried again one by one. More than that at once are not told apart. */
const mostReadmitted = 16;

/**
 * Where a refused value fitted several instances, all of them went. Those without which nothing was wrong come
 * back, so that nobody takes another one out by copying what it says elsewhere.
 */
function readmit(
  text: string,
  refused: Map<Refusable, string>,
  doubtful: ReadonlySet<Refusable>,
  attempt: (without: ReadonlySet<Refusable>) => Attempt | undefined,
): string {
  let best = text;
  for (const instance of [...doubtful].slice(0, mostReadmitted)) {
    const without = new Set(refused.keys());
    without.delete(instance);
    const result = attempt(without);
    if (result === undefined) break;
    if (result.refusals.length > 0 || result.error || result.unknown.length > 0) continue;
    best = result.text;
    refused.delete(instance);
  }
  return best;
}

function reportContainers(refused: ReadonlyMap<Refusable, string>): readonly RefusedContainer[] {
  return [...refused]
    .flatMap(([one, reason]) => (isContainer(one) ? [{ name: one.name, reason }] : []))
    .sort((a, b) => compare(a.name, b.name));
}

function report(refused: ReadonlyMap<Refusable, string>): readonly Refused[] {
  return [...refused]
    .flatMap(([one, reason]) => (isContainer(one) ? [] : [{ id: one.id, service: one.service, reason }]))
    .sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id));
}
