import type { Branch, Declaration, Expression, GoTemplate, Node } from "../go/ast.ts";
import { oneLine, type Tell } from "../note.ts";
import { type Differs, type Language, type Scope, turnExpression } from "./expression.ts";
import { layout } from "./layout.ts";
import { textLiteral } from "./literal.ts";
import { blockName, partialName } from "./names.ts";
import type { Part, Piece } from "./piece.ts";
import { printed } from "./print.ts";
import { any, mixed, NotTurned, number, type Shape, text, type Value } from "./shape.ts";
import { condition, entered, strict, throughHelper, walked } from "./value.ts";

/** What a Go template became. */
export interface Turned {
  readonly text: string;
  /** The templates that it defines, by the name of their file without the ending. */
  readonly partials: ReadonlyMap<string, string>;
}

/** How a template is turned. */
export interface Work {
  readonly language: Language;
  /** `file:line` of a line of the template. */
  at(line: number): string;
  readonly tell: Tell;
  /** Stands before the names of partials, which all templates of a folder share. */
  readonly prefix: string;
}

/** The helper that there is not: a template that holds it does not pass `portolan check` until that place is mended. */
export const gap = "notTurned";

/** Turns a Go template into a Handlebars one; what cannot be turned is told, and leaves a gap that does not compile. */
export function turnTemplate(template: GoTemplate, work: Work): Turned {
  const includes = new Map<string, Shape>();
  const partials = new Map<string, string>();
  const { top } = work.language;
  const context: Context = { ...work, includes, settings: assignedIn(template), names: new Map() };
  const scope: Scope = { dot: top, root: top, variables: new Map(), hidden: new Set() };
  const main = layout(turnNodes(template.nodes, { scope }, context));
  for (const [name, shape] of includes) {
    const nodes = template.defined.get(name);
    if (nodes === undefined) continue;
    const dot: Value = { code: "this", shape };
    const inner: Scope = { dot, root: dot, variables: new Map(), hidden: new Set() };
    partials.set(partialName(work.prefix, name), layout(turnNodes(nodes, { scope: inner }, context)));
  }
  for (const name of template.defined.keys()) {
    if (!includes.has(name)) work.tell("dropped", 1, `{{define "${name}"}}`, "no template includes it");
  }
  return { text: main, partials };
}

interface Context extends Work {
  /** What each template that is included gets. Grows while templates are turned. */
  readonly includes: Map<string, Shape>;
  /** The variables that are assigned again after they were declared. */
  readonly settings: ReadonlySet<string>;
  /** How many variables have had a name. */
  readonly names: Map<string, number>;
}

/** The scope as it grows from one statement to the next. */
interface Place {
  scope: Scope;
}

function turnNodes(nodes: readonly Node[], place: Place, context: Context): readonly Piece[] {
  return nodes.flatMap((node) => turnNode(node, place, context));
}

function turnNode(node: Node, place: Place, context: Context): readonly Piece[] {
  switch (node.kind) {
    case "text":
    case "comment":
      return [node];
    case "print":
      return attempt(node, context, () => turnPrint(node, place, context));
    case "choice":
      return turnChoice(node, place, context);
    case "range":
      return turnRange(node, place, context);
    case "include":
      return attempt(node, context, () => turnInclude(node, place, context));
    case "leave":
      return attempt(node, context, () => {
        throw new NotTurned("a loop goes on to its end; ask with {{#if}} inside of it");
      });
  }
}

function turnPrint(node: Extract<Node, { kind: "print" }>, place: Place, context: Context): readonly Piece[] {
  const { declares, value } = node.pipeline;
  if (declares) return declare(declares, value, place, context);
  const { of, args } = executed(value);
  if (of !== undefined) {
    const include = { ...node, kind: "include" as const, name: of, value: args };
    return turnInclude(include, place, context);
  }
  return printed(readValue(value, place, context));
}

/** consul-template's `executeTemplate "name" data` and docker-gen's `eval` include, as `template` does. */
function executed(value: Expression): { readonly of?: string; readonly args?: Expression } {
  if (value.kind !== "call" || !["executeTemplate", "eval"].includes(value.name)) return {};
  const [name, data] = value.args;
  return name?.kind === "text" ? { of: name.value, ...(data && { args: data }) } : {};
}

/** `$x := …` puts a value aside, or only gives a name to one that stays the same. */
function declare(
  { names, assigns }: Declaration,
  expression: Expression,
  place: Place,
  context: Context,
): readonly Piece[] {
  const [name = ""] = names;
  const { scope } = place;
  const { alias } = scope.dot;
  // By the name that the block has given it, the dot is the same in all blocks inside.
  const named = alias !== undefined && dotted(expression);
  const value = named
    ? readValue(expression, { scope: { ...scope, dot: { ...scope.dot, code: alias, free: true } } }, context)
    : readValue(expression, place, context);
  const before = scope.variables.get(name);
  if (assigns && before === undefined) throw new NotTurned(`$${name} is not known here`);
  const isSet = before?.code.startsWith("(get ") === true;
  if (assigns && !isSet)
    throw new NotTurned(`$${name} is what a loop gives; put another value aside with {{set}}`);
  const keeps = !assigns && value.free === true && !value.code.startsWith("(") && !context.settings.has(name);
  if (keeps) {
    place.scope = withVariable(scope, name, value);
    return [];
  }
  const slot = assigns ? slotOf(before?.code ?? "") : fresh(name, context);
  const shape = assigns && before ? mixed(before.shape, value.shape) : value.shape;
  const { literal: _, pieces: _p, joins: _j, ...plain } = value;
  place.scope = withVariable(scope, name, { code: `(get "${slot}")`, shape });
  return [{ kind: "mustache", code: `set "${slot}" ${strict(plain).code}` }];
}

const slotOf = (code: string): string => code.slice('(get "'.length, -2);

function fresh(name: string, { names }: Context): string {
  const count = (names.get(name) ?? 0) + 1;
  names.set(name, count);
  return count === 1 ? name : `${name}${count}`;
}

function withVariable(scope: Scope, name: string, value: Value): Scope {
  return { ...scope, variables: new Map([...scope.variables, [name, value]]) };
}

function turnChoice(
  node: Extract<Node, { kind: "choice" }>,
  place: Place,
  context: Context,
): readonly Piece[] {
  const before: Piece[] = [];
  const parts = node.branches.map((branch, at): Part => {
    const made = header(branch, at > 0, place, context);
    before.push(...made.before);
    return {
      tag: `${at > 0 ? "else " : "#"}${made.tag}`,
      body: turnNodes(branch.body, { scope: made.scope }, context),
    };
  });
  if (node.otherwise) parts.push({ tag: "else", body: turnNodes(node.otherwise, { ...place }, context) });
  return [...before, { kind: "block", name: node.branches[0].kind, parts }];
}

interface Header {
  readonly tag: string;
  readonly scope: Scope;
  /** What has to stand before the whole. */
  readonly before: readonly Piece[];
}

function header(branch: Branch, isElse: boolean, place: Place, context: Context): Header {
  const { pipeline, kind } = branch;
  if (kind === "with") return withHeader(branch, place, context);
  const work = (): Header => {
    if (pipeline.declares === undefined) {
      return {
        tag: `if ${condition(readValue(pipeline.value, place, context))}`,
        scope: place.scope,
        before: [],
      };
    }
    if (isElse) throw new NotTurned("a variable that is declared in an {{else if}}; declare it before");
    const inner = { ...place };
    const before = declare(pipeline.declares, pipeline.value, inner, context);
    const value = inner.scope.variables.get(pipeline.declares.names[0] ?? "") as Value;
    return { tag: `if ${condition(value)}`, scope: inner.scope, before };
  };
  return orGap(branch, context, work, (code) => ({ tag: `if (${code})`, scope: place.scope, before: [] }));
}

function withHeader(branch: Branch, place: Place, context: Context): Header {
  const { pipeline, body } = branch;
  const value = readHead(branch, context, () => readValue(pipeline.value, place, context));
  const wanted = pipeline.declares?.names[0] ?? aliasIn(body);
  const name = wanted === undefined ? undefined : blockName(wanted, place.scope.hidden);
  const taken = name === undefined ? "" : ` as |${name}|`;
  const inside = inner(place.scope, { ...value, maybe: false }, [[pipeline.declares?.names[0], name]]);
  return { tag: `with ${entered(value)}${taken}`, scope: inside, before: [] };
}

/** The scope in a block whose context is `value`, which has the block's name where it has one. */
function inner(
  scope: Scope,
  value: Value,
  given: readonly (readonly [goName: string | undefined, name: string | undefined])[],
  key?: Value,
): Scope {
  const [[goName, name] = [undefined, undefined], [goKey] = [undefined]] = given;
  const { literal: _, pieces: _p, joins: _j, raw: _r, ...plain } = value;
  const variables = new Map(scope.variables);
  const read = (code: string) => throughHelper(code, plain.shape);
  const named: Value = { ...plain, code: read(name ?? "this"), free: name !== undefined };
  if (goName !== undefined) variables.set(goName, named);
  if (goKey !== undefined && key) variables.set(goKey, key);
  const hidden = new Set([...scope.hidden, ...given.flatMap(([, one]) => one ?? [])]);
  return {
    dot: { ...plain, code: read("this"), free: false, ...(name !== undefined && { alias: read(name) }) },
    root: withoutContext(scope.root),
    variables,
    hidden,
  };
}

/** `$` of an included template is what it was given, which cannot be reached from inside of a block. */
function withoutContext(root: Value): Value {
  if (root.free || root.shape.kind === "nothing") return root;
  return {
    ...root,
    shape: {
      kind: "nothing",
      why: "$ inside of a block of an included template; give it to the block by a variable",
    },
  };
}

/** The name that a block's body gives to the dot in its first lines: `{{ $service := . }}`, or to a field of it. */
function aliasIn(body: readonly Node[]): string | undefined {
  for (const node of body) {
    if (node.kind !== "print" || node.pipeline.declares === undefined || node.pipeline.declares.assigns)
      continue;
    const { value, declares } = node.pipeline;
    if (value.kind === "dot") return declares.names[0];
    if (value.kind === "field" && dotted(value)) return "item";
  }
  return undefined;
}

function dotted(value: Expression): boolean {
  return value.kind === "dot" || (value.kind === "field" && dotted(value.of));
}

function turnRange(node: Extract<Node, { kind: "range" }>, place: Place, context: Context): readonly Piece[] {
  const { pipeline, body } = node;
  const names = pipeline.declares?.names ?? [];
  const value = readHead(node, context, () => {
    const read = readValue(pipeline.value, place, context);
    itemShape(read.shape);
    return read;
  });
  const item = value.shape === lost ? lost : itemShape(value.shape);
  const goName = names.at(-1);
  const goKey = names.length > 1 ? names[0] : undefined;
  const wanted = goName === "_" ? aliasIn(body) : (goName ?? aliasIn(body));
  const name =
    wanted === undefined && goKey === undefined ? undefined : blockName(wanted ?? "item", place.scope.hidden);
  const key =
    goKey === undefined || goKey === "_"
      ? undefined
      : blockName(goKey, new Set([...place.scope.hidden, name ?? ""]));
  const taken = name === undefined ? "" : ` as |${[name, ...(key === undefined ? [] : [key])].join(" ")}|`;
  const keyValue: Value = {
    code: key ?? "@key",
    shape: value.shape.kind === "list" ? number : text,
    free: key !== undefined,
  };
  const scope = inner(
    place.scope,
    { code: "this", shape: item },
    [
      [goName, name],
      [goKey, key],
    ],
    keyValue,
  );
  const tag = `#each ${walked(value)}${taken}`;
  const parts: Part[] = [{ tag, body: turnNodes(body, { scope }, context) }];
  if (node.otherwise) parts.push({ tag: "else", body: turnNodes(node.otherwise, { ...place }, context) });
  return [{ kind: "block", name: "each", parts }];
}

function itemShape(shape: Shape): Shape {
  if (shape.kind === "list" || shape.kind === "map") return shape.of;
  if (shape.kind === "any") return any;
  if (shape.kind === "nothing") throw new NotTurned(shape.why);
  throw new NotTurned("it walks something that is no list here");
}

function turnInclude(
  node: Extract<Node, { kind: "include" }>,
  place: Place,
  context: Context,
): readonly Piece[] {
  const name = partialName(context.prefix, node.name);
  if (node.value === undefined) {
    context.includes.set(node.name, {
      kind: "nothing",
      why: "the template that includes this gives it no value",
    });
    return [{ kind: "partial", code: name }];
  }
  const value = readValue(node.value, place, context);
  const before = context.includes.get(node.name);
  context.includes.set(node.name, before ? mixed(before, value.shape) : value.shape);
  const given = value.code === "this" ? "" : ` ${strict(value).code}`;
  return [{ kind: "partial", code: `${name}${given}` }];
}

function readValue(expression: Expression, place: Place, context: Context): Value {
  const differs: Differs = (line, name, how) => context.tell("different", line, name, how);
  return turnExpression(expression, place.scope, context.language, differs);
}

/** Of what was not turned, and nobody knows what it is: whatever reads it has to be mended with it. */
const lost: Shape = { kind: "nothing", why: "what the block around it takes was not turned" };

/** What a block takes; in the place of what cannot be turned a gap, of which the block's body is turned all the same. */
function readHead(node: Told, context: Context, work: () => Value): Value {
  return orGap(node, context, work, (code, gives) => ({ code: `(${code})`, shape: gives ?? lost }));
}

/** The pieces; in the place of what cannot be turned a gap, which is told. */
function attempt(node: Told, context: Context, work: () => readonly Piece[]): readonly Piece[] {
  return orGap(node, context, work, (code) => [{ kind: "mustache", code }]);
}

type Told = { readonly line: number; readonly source: string };

/** What `work` gives, or what `otherwise` makes of the code of a gap, which is told. */
function orGap<T>(
  { line, source }: Told,
  context: Context,
  work: () => T,
  otherwise: (code: string, gives: Shape | undefined) => T,
): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof NotTurned)) throw error;
    context.tell("missing", line, oneLine(source), error.message);
    const written = oneLine(source).replaceAll('"', "'").replaceAll("\\", "/");
    return otherwise(`${gap} ${textLiteral(`${context.at(line)}: ${written}`).code}`, error.gives);
  }
}

/** The variables that a template assigns anew. */
function assignedIn({ nodes, defined }: GoTemplate): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (all: readonly Node[]): void => {
    for (const node of all) {
      const pipelines =
        node.kind === "print" || node.kind === "range"
          ? [node.pipeline]
          : node.kind === "choice"
            ? node.branches.map(({ pipeline }) => pipeline)
            : [];
      for (const { declares } of pipelines)
        if (declares?.assigns) for (const name of declares.names) found.add(name);
      if (node.kind === "range") walk([...node.body, ...(node.otherwise ?? [])]);
      if (node.kind === "choice")
        walk([...node.branches.flatMap(({ body }) => body), ...(node.otherwise ?? [])]);
    }
  };
  walk([nodes, ...defined.values()].flat());
  return found;
}
