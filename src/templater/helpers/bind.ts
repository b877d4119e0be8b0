import { PortolanError } from "../../errors.ts";
import { type Block, type Body, blocks, type Frame } from "../../handlebars/blocks.ts";
import { charge, weight } from "../../handlebars/budget.ts";
import { placeOf } from "../../handlebars/check.ts";
import { didYouMean } from "../../handlebars/did-you-mean.ts";
import { kindOf, quotedTextOf, truthy } from "../../handlebars/helper.ts";
import { whyRefused } from "../escape/admit.ts";
import type { Position } from "../escape/position.ts";
import { admitName, partialName, rawName } from "../escape/rewrite.ts";
import { type Fragments, turnOf } from "../fragments.ts";
import { maskSecrets } from "../secrets.ts";
import { isContainer, type Refusable, type View } from "../view.ts";
import type { Call, Helper } from "./helper.ts";
import { helpers } from "./index.ts";

/** One render, as the bound helpers know it: `data.run` of every frame. */
export interface Run {
  readonly call: Call;
  /** Where the template is: set before each helper is called, so that a refusal can say it. */
  at: Place;
  /** What was rendered before; absent while everything is to be rendered anew. */
  readonly fragments: Fragments | undefined;
}

/** A place in a template, while it is rendered. */
export interface Place {
  /** The expression as it is written, or the helper's name. */
  readonly source: string;
  readonly loc: hbs.AST.SourceLocation;
  /** Absent before the first helper. */
  readonly data: Data | undefined;
}

/** A frame of Handlebars' data: `@index` and the like, what a block is at, and the frame around it. */
export interface Data {
  readonly run: Run;
  readonly subject?: unknown;
  readonly _parent?: Data;
}

/** What the `{{#each}}` and `{{#with}}` around a place are at, the innermost first. */
export function subjectsOf(data: Data | undefined): readonly unknown[] {
  const subjects: unknown[] = [];
  for (let frame = data; frame; frame = frame._parent) subjects.push(frame.subject);
  return subjects.filter((subject) => subject !== undefined);
}

/** What Handlebars passes as the last argument. */
interface Options {
  readonly data: Data;
  readonly hash: Readonly<Record<string, unknown>>;
  readonly loc: hbs.AST.SourceLocation;
  readonly fn: (
    context: unknown,
    options?: { data: Data; blockParams?: readonly unknown[] | undefined },
  ) => string;
  readonly inverse: (context: unknown) => string;
}

type Bound = (this: unknown, ...args: unknown[]) => unknown;

/** Every helper and block as a function that Handlebars can call, and what all output and every partial passes through. */
export const bindings: ReadonlyMap<string, Bound> = new Map<string, Bound>([
  ...[...helpers].map(([name, helper]) => [name, bindHelper(name, helper)] as const),
  ...Object.entries(blocks).map(([name, block]) => [name, bindBlock(name, block)] as const),
  ["if", bindCondition("if", true)],
  ["unless", bindCondition("unless", false)],
  [admitName, bindOutput(admit)],
  [rawName, bindOutput(print)],
  [partialName, countPartial],
]);

function countPartial(last: unknown): string {
  const { data, loc } = last as Options;
  try {
    data.run.call.budget.spend(1);
  } catch (error) {
    throw placed(error, ">", loc);
  }
  return "";
}

function bindHelper(name: string, helper: Helper): Bound {
  const source = `${name} …`;
  return (...args) => {
    const { data, loc, hash } = args.pop() as Options;
    const { run } = data;
    const { budget } = run.call;
    run.at = { source, loc, data };
    try {
      charge(args, helper, budget);
      const result = helper.call(args, hash, run.call);
      budget.spend(weight(result));
      return result;
    } catch (error) {
      throw placed(error, name, loc, run.call.view);
    }
  };
}

/** `marks`: what `markTurns` has put behind the value. */
function bindBlock(name: string, block: Block): Bound {
  return function (value, ...marks) {
    const options = marks.pop() as Options;
    const { budget } = options.data.run.call;
    const body = marks.length > 0 ? remembering(options, marks) : bodyOf(options);
    const then: Body = (item, frame, blockParams) => {
      budget.spend(1);
      const piece = body(item, frame, blockParams);
      budget.spend(weight(piece));
      return piece;
    };
    try {
      return block(value, then, () => options.inverse(this), this);
    } catch (error) {
      throw placed(error, `#${name}`, options.loc);
    }
  };
}

/** Conditions are most of what templates ask for, and need no frame of their own. */
function bindCondition(name: string, wanted: boolean): Bound {
  return function (value, last) {
    const { data, fn, inverse, loc } = last as Options;
    if (truthy(value) !== wanted) return inverse(this);
    const { budget } = data.run.call;
    try {
      budget.spend(1);
      const piece = fn(this);
      budget.spend(weight(piece));
      return piece;
    } catch (error) {
      throw placed(error, `#${name}`, loc);
    }
  };
}

function bodyOf({ data, fn }: Options): Body {
  // Handlebars looks variables up in the frame itself, so each frame holds those of the ones around it.
  return (item, frame, blockParams) =>
    fn(item, { data: { ...data, ...frame, subject: item, _parent: data }, blockParams });
}

/** The body of an `{{#each}}` whose turns can be remembered. */
function remembering(options: Options, [place, names, ...around]: readonly unknown[]): Body {
  const { run } = options.data;
  const body = bodyOf(options);
  if (run.fragments === undefined) return body;
  const turns = run.fragments.at(String(place));
  const fromFrame = String(names).split(",") as (keyof Frame)[];
  return (item, frame, blockParams) => {
    const read = names === "" ? around : [...around, ...fromFrame.map((name) => frame?.[name])];
    return turnOf(turns, item, read, run.call.budget, () => body(item, frame, blockParams));
  };
}

/** The error with its place and the helper's name before the message, if it has no place yet. */
function placed(error: unknown, name: string, loc: hbs.AST.SourceLocation, view?: View): unknown {
  // Too deep a nesting is no fault of the helper that happened to be the last straw.
  if (error instanceof PortolanError || error instanceof RangeError) return error;
  const whole = error instanceof Error ? error.message : String(error);
  const message = view === undefined ? whole : maskSecrets(whole, view.containersRead());
  // The log shows causes as well.
  const options = message === whole ? { cause: error } : {};
  return new PortolanError("TEMPLATE", `${placeOf(loc)}: ${name} ${message}`, options);
}

/** A `{{x}}`: where it stands, what it stands in, and whether it is a call or a field. */
interface Mustache extends Place {
  readonly data: Data;
  readonly isCall: boolean;
  readonly position: Position;
  readonly here: unknown;
}

function bindOutput(output: (value: unknown, mustache: Mustache) => string): Bound {
  return function (value, source, isCall, position, last) {
    const { data, loc } = last as Options;
    const mustache: Mustache = {
      source: source as string,
      isCall: isCall === true,
      position: position as Position,
      data,
      loc,
      here: this,
    };
    const text = output(value ?? withoutArguments(mustache), mustache);
    try {
      data.run.call.budget.spend(1 + Math.max(weight(value), weight(text)));
    } catch (error) {
      throw placed(error, mustache.source, loc);
    }
    return text;
  };
}

/** `{{node}}` is the field of that name where there is one, else the helper. */
function withoutArguments({ source, isCall, data }: Mustache): unknown {
  const helper = isCall ? undefined : helpers.get(source);
  return helper?.arity[0] === 0 ? helper.call([], {}, data.run.call) : undefined;
}

/** `{{x}}`: the value as it is, if the format admits it. */
function admit(value: unknown, mustache: Mustache): string {
  if (typeof value !== "string") return print(value, mustache);
  const { run } = mustache.data;
  const { format } = run.call;
  // An empty field would make the next word take its place. What a helper gives is as the author meant it.
  const refusesEmpty = !mustache.isCall && (format === "haproxy" || format === "nginx");
  const why = (word: string) =>
    word === "" && refusesEmpty ? "is empty" : whyRefused(word, format, mustache.position);
  const reason = why(value);
  if (reason === undefined) return value;
  run.at = mustache;
  run.call.refuseValue(
    value,
    (value) => `{{${mustache.source}}} is ${value}, which ${reason}`,
    (word) => why(word) === undefined,
  );
  return "";
}

/** `{{{x}}}`, and what needs no admission: the value as it is. */
function print(value: unknown, mustache: Mustache): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value)))
    return String(value);
  const text = quotedTextOf(value);
  if (text !== undefined) return text;
  const { loc, source } = mustache;
  throw new PortolanError("TEMPLATE", `${placeOf(loc)}: {{${source}}} ${whyNotPrinted(value, mustache)}`);
}

function whyNotPrinted(value: unknown, { source, isCall, here, data }: Mustache): string {
  const expression = isCall ? `(${source})` : source;
  if (value !== undefined && value !== null) {
    return `is ${kindOf(value)}; write {{json ${expression}}}, or walk it with {{#each}}`;
  }
  const known = typeof here === "object" && here !== null ? Object.keys(here) : [];
  const guess = isCall || source.includes(".") ? "" : didYouMean(source, [...known, ...helpers.keys()]);
  const where = nearestId(data, data.run.call.view);
  return `has no value${where}${guess || `; test it with {{#if}}, or write {{default ${expression} "…"}}`}`;
}

/** ` in <id>` of the instance whose turn it is; of a container ` in <name>`. */
function nearestId(data: Data, view: View): string {
  const read: ReadonlySet<unknown> = view.refusable();
  const found = subjectsOf(data).find((subject) => read.has(subject)) as Refusable | undefined;
  if (found === undefined) return "";
  return ` in ${isContainer(found) ? found.name : found.id}`;
}
