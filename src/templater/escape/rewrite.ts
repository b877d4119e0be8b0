import type { Format } from "./format.ts";
import { type Position, positionAt, type Scan, scan, scanStart } from "./position.ts";

/** The names of the functions that every `{{ }}` and `{{> }}` ends in. No template can spell them: checked before. */
export const admitName = "portolan admit";
export const rawName = "portolan raw";
export const partialName = "portolan partial";

type Mustache = hbs.AST.MustacheStatement & { hash?: hbs.AST.Hash };

/**
 * Turns every `{{x}}` into a call of `admit` and every `{{{x}}}` into one of `raw`, with the value, its source
 * text and its position in the file as arguments, and puts a call before every `{{> partial}}`, so that partials
 * are counted. Handlebars' own escaping is for HTML only and one for all environments, so it is left out.
 * Changes the parsed template in place; literals and conditions inside calls are not touched. Returns what the
 * template's text leaves open, for what comes after it.
 */
export function rewrite(program: hbs.AST.Program | undefined, format: Format, from = scanStart): Scan {
  let at = from;
  if (program === undefined) return at;
  const body: hbs.AST.Statement[] = [];
  for (const statement of program.body) {
    switch (statement.type) {
      case "ContentStatement":
        at = scan(at, (statement as hbs.AST.ContentStatement).value, format);
        break;
      case "MustacheStatement":
        body.push(wrapped(statement as Mustache, positionAt(at, format)));
        at = { ...at, before: "x" };
        continue;
      case "PartialStatement":
      case "PartialBlockStatement":
        body.push(callOf(partialName, statement.loc, []));
    }
    body.push(statement);
    const { program: inner, inverse } = statement as Partial<hbs.AST.BlockStatement>;
    const after = rewrite(inner, format, at);
    rewrite(inverse, format, at);
    if (inner !== undefined) at = after;
  }
  program.body = body;
  return at;
}

function wrapped(node: Mustache, position: Position): hbs.AST.Statement {
  const { loc } = node;
  const isCall = node.params.length > 0 || node.hash !== undefined;
  const value: hbs.AST.Expression = isCall
    ? ({
        type: "SubExpression",
        path: node.path,
        params: node.params,
        hash: node.hash,
        loc,
      } as hbs.AST.SubExpression)
    : node.path;
  const literal = (text: string) => ({ type: "StringLiteral", value: text, original: text, loc });
  return callOf(node.escaped ? admitName : rawName, loc, [
    value,
    literal(sourceOf(node)),
    { type: "BooleanLiteral", value: isCall, original: isCall, loc } as Literal,
    literal(position),
  ]);
}

type Literal = hbs.AST.BooleanLiteral;

/** A `{{{name …}}}`. */
function callOf(
  name: string,
  loc: hbs.AST.SourceLocation,
  params: hbs.AST.Expression[],
): hbs.AST.MustacheStatement {
  const path = { type: "PathExpression", data: false, depth: 0, parts: [name], original: name, loc };
  const strip = { open: false, close: false };
  const hash = { type: "Hash", pairs: [], loc } as hbs.AST.Hash;
  return { type: "MustacheStatement", path, params, hash, escaped: false, strip, loc };
}

/** The expression as a person wrote it, near enough for an error. */
function sourceOf(node: hbs.AST.Node): string {
  if (node.type === "StringLiteral") return `"${(node as hbs.AST.StringLiteral).value}"`;
  if (node.type !== "SubExpression" && node.type !== "MustacheStatement") {
    return String((node as hbs.AST.PathExpression).original);
  }
  const { path, params, hash } = node as hbs.AST.SubExpression & { hash?: hbs.AST.Hash };
  const pairs = (hash?.pairs ?? []).map(({ key, value }) => `${key}=${argument(value)}`);
  return [path.original, ...params.map(argument), ...pairs].join(" ");
}

function argument(node: hbs.AST.Node): string {
  return node.type === "SubExpression" ? `(${sourceOf(node)})` : sourceOf(node);
}
