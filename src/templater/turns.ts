import { pureHelpers } from "../handlebars/pure.ts";
import { regexes } from "../handlebars/regex.ts";
import { output } from "./helpers/output.ts";

type Node = hbs.AST.Node;

/** Helpers that give the same for the same arguments, as long as the environment is the same. */
const steady: ReadonlySet<string> = new Set([
  ...Object.keys({ ...pureHelpers, ...regexes, ...output }),
  "env",
]);

/**
 * Marks the outermost `{{#each}}` whose turns can be remembered: they read their item, blocks' names from around
 * them, `@index` and the like, and the environment, and nothing else. As arguments after its list it gets its place,
 * which of `@index`, `@key`, `@first` and `@last` are read, and what is read from around it. Changes the parsed
 * template in place. `around` are the names that the blocks around it give.
 */
export function markTurns(
  program: hbs.AST.Program | undefined,
  around: ReadonlySet<string> = new Set(),
): void {
  for (const statement of program?.body ?? []) {
    if (statement.type !== "BlockStatement") continue;
    const block = statement as hbs.AST.BlockStatement;
    const { path, program: inner, loc } = block;
    const reads = (path as hbs.AST.PathExpression).original === "each" ? readsOf(inner, around) : undefined;
    if (reads) {
      const literal = (text: string) => ({ type: "StringLiteral", value: text, original: text, loc });
      const place = `${loc.source}:${loc.start.line}:${loc.start.column}`;
      block.params.push(literal(place), literal([...reads.frame].join()), ...reads.around.values());
    } else markTurns(inner, new Set([...around, ...(inner?.blockParams ?? [])]));
    markTurns(block.inverse, around);
  }
}

/** What the turns of an `{{#each}}` read besides their item. */
interface TurnReads {
  /** Names behind `@`. */
  readonly frame: ReadonlySet<string>;
  /** Paths that begin with a name from around, by what is written. */
  readonly around: ReadonlyMap<string, hbs.AST.PathExpression>;
}

/** Undefined when something else is read, or when that does not show here. */
function readsOf(body: hbs.AST.Program | undefined, around: ReadonlySet<string>): TurnReads | undefined {
  const [item, key] = body?.blockParams ?? [];
  const frame = new Set<string>();
  const fromAround = new Map<string, hbs.AST.PathExpression>();

  /** `own` are names that blocks inside give; `isInner`: inside of another `{{#each}}`, with a frame of its own. */
  const isPathSteady = (
    path: hbs.AST.PathExpression,
    own: ReadonlySet<string>,
    isInner: boolean,
  ): boolean => {
    const [name = ""] = path.parts;
    // What `..` leads to depends on the values: a block that is at the same one as before adds no step.
    if (path.depth > 0 || (path.data && name === "root")) return false;
    if (path.data) {
      if (!isInner) frame.add(name);
    } else if (own.has(name)) return true;
    else if (name === key) frame.add("key");
    else if (around.has(name)) fromAround.set(path.original, path);
    return true;
  };

  const isSteady = (node: Node, own: ReadonlySet<string>, isInner: boolean): boolean => {
    if (node.type === "PathExpression") return isPathSteady(node as hbs.AST.PathExpression, own, isInner);
    const { params = [], hash } = node as Partial<hbs.AST.SubExpression>;
    const all = [...params, ...(hash?.pairs.map(({ value }) => value) ?? [])];
    if (!all.every((param) => isSteady(param, own, isInner))) return false;
    const { path, program, inverse } = node as hbs.AST.BlockStatement;
    const name = (path as hbs.AST.PathExpression | undefined)?.original ?? "";
    switch (node.type) {
      case "PartialStatement":
      case "PartialBlockStatement":
        return false;
      case "SubExpression":
        return steady.has(name);
      case "MustacheStatement":
        return all.length > 0 ? steady.has(name) : isSteady(path, own, isInner);
      case "BlockStatement": {
        const names = new Set([...own, ...(program?.blockParams ?? [])]);
        return (
          isBodySteady(program, names, isInner || name === "each") && isBodySteady(inverse, own, isInner)
        );
      }
      default:
        return true;
    }
  };

  const isBodySteady = (
    program: hbs.AST.Program | undefined,
    own: ReadonlySet<string>,
    isInner: boolean,
  ): boolean => (program?.body ?? []).every((statement) => isSteady(statement, own, isInner));

  const own = new Set(item === undefined ? [] : [item]);
  return isBodySteady(body, own, false) ? { frame, around: fromAround } : undefined;
}
