import { blocks } from "./blocks.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { Helper } from "./helper.ts";

type Node = hbs.AST.Node;
/** What a mustache, a block and a nested call have in common. */
type Called = Node & { path: hbs.AST.PathExpression; params: Node[]; hash?: hbs.AST.Hash };

/** What was found in one parsed file. */
export interface Findings {
  /** Each mistake as `file:line:column: what, and the way out`. */
  readonly problems: string[];
  /** The partials that it includes, with the place of each. */
  readonly partials: { readonly name: string; readonly at: string }[];
  /** The texts that stand in its expressions. */
  readonly literals: string[];
  /** The helpers that it calls, with the place of each call. */
  readonly calls: { readonly name: string; readonly at: string }[];
}

/** What stands behind `@` in a template; everything else there is ours. */
const dataNames = new Set(["index", "key", "first", "last", "root"]);

/** `file:line:column` of a node, counted from 1. */
export function placeOf(loc: hbs.AST.SourceLocation): string {
  return `${loc.source}:${loc.start.line}:${loc.start.column + 1}`;
}

/** Looks through a parsed template for what can only fail: unknown names, wrong arguments, decorators. */
export function check(
  program: hbs.AST.Program,
  helpers: ReadonlyMap<string, Pick<Helper, "arity" | "named">>,
): Findings {
  const findings: Findings = { problems: [], partials: [], literals: [], calls: [] };
  const problem = (node: Node, what: string) => findings.problems.push(`${placeOf(node.loc)}: ${what}`);

  const expressions = (node: Called) => {
    for (const param of node.params) expression(param);
    for (const { value } of node.hash?.pairs ?? []) expression(value);
  };

  const expression = (node: Node) => {
    if (node.type === "StringLiteral") findings.literals.push((node as hbs.AST.StringLiteral).value);
    if (node.type === "PathExpression") path(node as hbs.AST.PathExpression);
    if (node.type === "SubExpression") call(node as hbs.AST.SubExpression);
  };

  const path = (node: hbs.AST.PathExpression) => {
    const [name = ""] = node.parts;
    if (node.data && !dataNames.has(name)) {
      problem(node, `unknown variable @${name}${didYouMean(name, dataNames)}`);
    }
  };

  const call = (node: Called) => {
    expressions(node);
    const name = String(node.path.original);
    const helper = isName(node.path) ? helpers.get(name) : undefined;
    if (helper === undefined) {
      const why = Object.hasOwn(blocks, name)
        ? `{{#${name}}} is a block; it does not give a value`
        : `unknown helper "${name}"${didYouMean(name, helpers.keys())}`;
      problem(node, why);
      return;
    }
    findings.calls.push({ name, at: placeOf(node.loc) });
    const [least, most] = helper.arity;
    const count = node.params.length;
    if (count < least || count > most) {
      const wanted = least === most ? String(least) : `${least} to ${most}`;
      problem(node, `${name} takes ${wanted} arguments, not ${count}`);
    }
    for (const { key } of node.hash?.pairs ?? []) {
      if (!helper.named.includes(key)) {
        problem(node, `${name} does not take ${key}=${didYouMean(key, helper.named)}`);
      }
    }
  };

  const mustache = (node: hbs.AST.MustacheStatement) => {
    if (node.params.length > 0 || node.hash !== undefined) call(node as Called);
    else if (node.path.type === "PathExpression") path(node.path as hbs.AST.PathExpression);
    else problem(node, "a constant inside {{ }}; write it without the braces");
  };

  const block = (node: hbs.AST.BlockStatement) => {
    const name = String(node.path.original);
    if (!isName(node.path) || !Object.hasOwn(blocks, name)) {
      const wayOut = helpers.has(name)
        ? `"${name}" is not a block; write {{#if (${name} …)}}`
        : `unknown block "${name}"${didYouMean(name, Object.keys(blocks)) || "; write {{#if …}}, {{#each …}} or {{#with …}}"}`;
      problem(node, wayOut);
    } else if (node.params.length !== 1 || node.hash !== undefined) {
      problem(node, `{{#${name}}} takes one argument`);
    }
    expressions(node as Called);
    body(node.program);
    body(node.inverse);
  };

  const partial = (node: hbs.AST.PartialStatement & { program?: hbs.AST.Program }) => {
    if (node.name.type !== "PathExpression") {
      problem(node, "a partial with a computed name; write {{> name}}, and choose with {{#if}}");
    } else if ((node.name as hbs.AST.PathExpression).original !== "@partial-block") {
      findings.partials.push({
        name: String((node.name as hbs.AST.PathExpression).original),
        at: placeOf(node.loc),
      });
    }
    if (node.params.length > 1) problem(node, "a partial takes one value, and named ones");
    expressions(node as unknown as Called);
    body(node.program);
  };

  const body = (program: hbs.AST.Program | undefined) => {
    for (const statement of program?.body ?? []) {
      switch (statement.type) {
        case "MustacheStatement":
          mustache(statement as hbs.AST.MustacheStatement);
          break;
        case "BlockStatement":
          block(statement as hbs.AST.BlockStatement);
          break;
        case "PartialStatement":
        case "PartialBlockStatement":
          partial(statement as hbs.AST.PartialStatement);
          break;
        case "Decorator":
        case "DecoratorBlock":
          problem(statement, "decorators ({{* }}) are not supported; put the piece into a partial file");
      }
    }
  };

  body(program);
  return findings;
}

/** True for a single word, as names of helpers are; false for `a.b`, `../a`, `this.a` and `@a`. */
function isName(path: hbs.AST.PathExpression): boolean {
  return (
    path.type === "PathExpression" &&
    !path.data &&
    path.depth === 0 &&
    path.parts.length === 1 &&
    path.original === path.parts[0]
  );
}
