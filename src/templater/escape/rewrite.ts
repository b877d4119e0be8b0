/** The names of the two functions that every `{{ }}` ends in. No template can spell them: checked before. */
export const admitName = "portolan admit";
export const rawName = "portolan raw";

type Mustache = hbs.AST.MustacheStatement & { hash?: hbs.AST.Hash };

/**
 * Turns every `{{x}}` into a call of `admit` and every `{{{x}}}` into one of `raw`, with the value and its
 * source text as arguments. Handlebars' own escaping is for HTML only and one for all environments, so it is
 * left out. Changes the parsed template in place; literals and conditions inside calls are not touched.
 */
export function rewrite(program: hbs.AST.Program | undefined): void {
  for (const [index, statement] of program?.body.entries() ?? []) {
    if (statement.type === "MustacheStatement" && program) {
      program.body[index] = wrapped(statement as Mustache);
    }
    const { program: inner, inverse } = statement as Partial<hbs.AST.BlockStatement>;
    rewrite(inner);
    rewrite(inverse);
  }
}

function wrapped(node: Mustache): Mustache {
  const { loc } = node;
  const name = node.escaped ? admitName : rawName;
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
  return {
    ...node,
    path: { type: "PathExpression", data: false, depth: 0, parts: [name], original: name, loc },
    params: [
      value,
      literal(sourceOf(node)),
      { type: "BooleanLiteral", value: isCall, original: isCall, loc } as Literal,
    ],
    hash: { type: "Hash", pairs: [], loc },
    escaped: false,
  };
}

type Literal = hbs.AST.BooleanLiteral;

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
