import Handlebars from "handlebars";
import { PortolanError } from "../errors.ts";
import { type Block, type Body, blocks } from "./blocks.ts";
import { type Budget, charge, createBudget, weight } from "./budget.ts";
import { check, placeOf } from "./check.ts";
import { didYouMean } from "./did-you-mean.ts";
import { type Helper, kindOf, quotedTextOf } from "./helper.ts";
import { parseTemplate } from "./parse.ts";
import { pureHelpers } from "./pure.ts";

/** A short template, such as an option holds: text from values. */
export interface Phrase {
  /** The text for these values. Throws TEMPLATE with `title:line:column` and the way out. */
  tell(values: Readonly<Record<string, unknown>>): string;
}

/** Steps that one phrase may take; each is about a microsecond. */
const mostSteps = 100_000;

const helpers = new Map(Object.entries(pureHelpers));

/** What every `{{x}}` ends in. No template can spell it: checked before. */
const printName = "portolan print";

/** True when a text is more than itself. */
export function isPhrase(text: string): boolean {
  return text.includes("{{");
}

/**
 * Compiles a phrase. It has the pure helpers and the blocks and nothing else: no file, no environment, no
 * network, no backend. `title` names it in errors. Throws TEMPLATE with every mistake that can be seen
 * without values, one a line.
 */
export function compilePhrase(title: string, text: string): Phrase {
  const environment = Handlebars.create();
  for (const name of Object.keys(environment.helpers)) environment.unregisterHelper(name);
  for (const name of Object.keys(environment.decorators)) environment.unregisterDecorator(name);
  for (const [name, bound] of bindings) environment.registerHelper(name, bound);
  const program = parseTemplate(environment, { path: title, text });
  const { problems, partials } = check(program, helpers);
  const all = [...problems, ...partials.map(({ at }) => `${at}: there are no partials here`)];
  if (all.length > 0) throw new PortolanError("TEMPLATE", all.join("\n"));
  print(program);
  const render = environment.compile<unknown>(program, {
    noEscape: true,
    knownHelpers: Object.fromEntries([...bindings.keys()].map((name) => [name, true])),
    knownHelpersOnly: true,
  });
  return {
    tell(values) {
      const budget = createBudget(mostSteps);
      try {
        return render(values, {
          data: { budget },
          allowProtoMethodsByDefault: false,
          allowProtoPropertiesByDefault: false,
        });
      } catch (error) {
        if (error instanceof PortolanError) throw error;
        const message = error instanceof Error ? error.message : String(error);
        throw new PortolanError("TEMPLATE", `${title}: ${message}`, { cause: error });
      }
    },
  };
}

/** What Handlebars passes as the last argument. */
interface Options {
  readonly data: { readonly budget: Budget };
  readonly hash: Readonly<Record<string, unknown>>;
  readonly loc: hbs.AST.SourceLocation;
  fn(context: unknown, options?: object): string;
  inverse(context: unknown): string;
}

type Bound = (this: unknown, ...args: unknown[]) => unknown;

const bindings: ReadonlyMap<string, Bound> = new Map<string, Bound>([
  ...[...helpers].map(([name, helper]) => [name, bindHelper(name, helper)] as const),
  ...Object.entries(blocks).map(([name, block]) => [name, bindBlock(name, block)] as const),
  [printName, bindPrint],
]);

function bindHelper(name: string, helper: Helper): Bound {
  return (...args) => {
    const { data, hash, loc } = args.pop() as Options;
    return at(loc, name, () => {
      charge(args, helper, data.budget);
      const result = helper.call(args, hash, undefined);
      data.budget.spend(weight(result));
      return result;
    });
  };
}

function bindBlock(name: string, block: Block): Bound {
  return function (value, last) {
    const options = last as Options;
    const then: Body = (item, frame, blockParams) => {
      options.data.budget.spend(1);
      const piece = options.fn(item, { data: { ...options.data, ...frame }, blockParams });
      options.data.budget.spend(weight(piece));
      return piece;
    };
    return at(options.loc, `#${name}`, () => block(value, then, () => options.inverse(this), this));
  };
}

/** `{{x}}`: a text, number or boolean as text. */
function bindPrint(this: unknown, value: unknown, source: unknown, last: unknown): string {
  const { loc, data } = last as Options;
  data.budget.spend(1 + weight(value));
  if (typeof value === "string" || typeof value === "boolean") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  const text = quotedTextOf(value);
  if (text !== undefined) return text;
  const known = typeof this === "object" && this !== null ? Object.keys(this) : [];
  const why =
    value === undefined || value === null
      ? `has no value${didYouMean(String(source), known) || `; test it with {{#if}}, or give a default: {{default ${String(source).includes(" ") ? `(${source})` : source} "…"}}`}`
      : `is ${kindOf(value)}; write a field of it`;
  throw new PortolanError("TEMPLATE", `${placeOf(loc)}: {{${source}}} ${why}`);
}

/** Does `work`; an error without a place gets this one. */
function at<T>(loc: hbs.AST.SourceLocation, name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    // Too deep a nesting is no fault of the helper that happened to be the last straw.
    if (error instanceof PortolanError || error instanceof RangeError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new PortolanError("TEMPLATE", `${placeOf(loc)}: ${name} ${message}`, { cause: error });
  }
}

/** Turns every `{{x}}` into a call of `printName` with the value and its source, in place. */
function print(program: hbs.AST.Program | undefined): void {
  for (const [index, statement] of program?.body.entries() ?? []) {
    if (statement.type === "MustacheStatement" && program) {
      program.body[index] = printed(statement as hbs.AST.MustacheStatement);
    }
    const { program: inner, inverse } = statement as Partial<hbs.AST.BlockStatement>;
    print(inner);
    print(inverse);
  }
}

function printed(node: hbs.AST.MustacheStatement): hbs.AST.MustacheStatement {
  const { loc, params, hash } = node;
  const isCall = params.length > 0 || hash !== undefined;
  const value: hbs.AST.Expression = isCall ? ({ ...node, type: "SubExpression" } as never) : node.path;
  const name = String((node.path as hbs.AST.PathExpression).original) + (isCall ? " …" : "");
  const source: hbs.AST.StringLiteral = { type: "StringLiteral", value: name, original: name, loc };
  const path = {
    type: "PathExpression",
    data: false,
    depth: 0,
    parts: [printName],
    original: printName,
    loc,
  };
  return {
    ...node,
    path: path as hbs.AST.PathExpression,
    params: [value, source],
    hash: { type: "Hash", pairs: [], loc },
  };
}
