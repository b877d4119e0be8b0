import type { Branch, Declaration, Expression, GoTemplate, Node, Pipeline } from "./ast.ts";
import { GoSyntaxError } from "./syntax-error.ts";
import { type Delimiters, type Piece, pieces, type Token } from "./tokens.ts";

type Action = Extract<Piece, { kind: "action" }>;

/** Reads a template in Go's text/template. Throws GoSyntaxError. */
export function parseGoTemplate(text: string, delimiters: Delimiters): GoTemplate {
  const all = pieces(text, delimiters);
  const defined = new Map<string, readonly Node[]>();
  let next = 0;

  /** Reads up to an action that begins with one of `ends`, which is taken too. */
  const body = (ends: readonly string[], opened: Action | undefined): { nodes: Node[]; end?: Action } => {
    const nodes: Node[] = [];
    for (;;) {
      const piece = all[next++];
      if (piece === undefined) {
        if (opened === undefined) return { nodes };
        throw new GoSyntaxError(opened.line, `${opened.source} has no {{end}}`);
      }
      if (piece.kind !== "action") nodes.push(piece);
      else if (ends.includes(keyword(piece))) return { nodes, end: piece };
      else nodes.push(...statement(piece));
    }
  };

  const statement = (action: Action): readonly Node[] => {
    const { line, source } = action;
    const word = keyword(action);
    switch (word) {
      case "if":
      case "with":
        return [{ kind: "choice", line, ...choice(word, action, rest(action, 1)) }];
      case "range": {
        const pipeline = parsePipeline(rest(action, 1), line);
        const first = body(["else", "end"], action);
        const otherwise =
          first.end && keyword(first.end) === "else" ? body(["end"], action).nodes : undefined;
        return [{ kind: "range", line, source, pipeline, body: first.nodes, otherwise }];
      }
      case "define":
        defined.set(nameIn(action), body(["end"], action).nodes);
        return [];
      case "block": {
        const name = nameIn(action);
        defined.set(name, body(["end"], action).nodes);
        return [{ kind: "include", line, source, name, value: parsePipeline(rest(action, 2), line).value }];
      }
      case "template": {
        const more = rest(action, 2);
        const value = more.length > 0 ? parsePipeline(more, line).value : undefined;
        return [{ kind: "include", line, source, name: nameIn(action), value }];
      }
      case "break":
      case "continue":
        return [{ kind: "leave", line, source }];
      case "else":
      case "end":
        throw new GoSyntaxError(line, `${source} stands in no block`);
      default:
        return [{ kind: "print", line, source, pipeline: parsePipeline(action.tokens, line) }];
    }
  };

  const choice = (
    kind: Branch["kind"],
    action: Action,
    tokens: readonly Token[],
  ): Pick<Extract<Node, { kind: "choice" }>, "branches" | "otherwise"> => {
    const { line, source } = action;
    const { nodes, end } = body(["else", "end"], action);
    const branch: Branch = { kind, line, source, pipeline: parsePipeline(tokens, line), body: nodes };
    if (end === undefined || keyword(end) === "end") return { branches: [branch], otherwise: undefined };
    const follows = end.tokens[1]?.value;
    if (follows === "if" || follows === "with") {
      const more = choice(follows, end, rest(end, 2));
      return { branches: [branch, ...more.branches], otherwise: more.otherwise };
    }
    return { branches: [branch], otherwise: body(["end"], action).nodes };
  };

  return { nodes: body([], undefined).nodes, defined };
}

const keywords = ["if", "with", "range", "define", "block", "template", "break", "continue", "else", "end"];

function keyword({ tokens }: Action): string {
  const [first] = tokens;
  return first?.kind === "name" && keywords.includes(first.value) ? first.value : "";
}

const rest = ({ tokens }: Action, count: number): readonly Token[] => tokens.slice(count);

function nameIn({ tokens, line, source }: Action): string {
  const name = tokens[1];
  if (name?.kind === "text") return name.value;
  throw new GoSyntaxError(line, `${source} needs a name in quotes`);
}

/** Reads the inside of an action. */
function parsePipeline(tokens: readonly Token[], line: number): Pipeline {
  let at = 0;
  const declares = declaration(tokens);
  if (declares) at = declares.length;

  const isSign = (value: string) => tokens[at]?.kind === "sign" && tokens[at]?.value === value;

  const pipeline = (): Expression => {
    let value = command();
    while (isSign("|")) {
      at++;
      value = withArgument(command(), value);
    }
    return value;
  };

  const command = (): Expression => {
    const head = operand();
    if (head === undefined) {
      throw new GoSyntaxError(line, `an action ends where a value should stand`);
    }
    const args: Expression[] = [];
    for (let arg = operand(); arg !== undefined; arg = operand()) args.push(arg);
    return args.length === 0 ? head : args.reduce(withArgument, head);
  };

  const operand = (): Expression | undefined => {
    const value = term();
    const names: string[] = [];
    while (value && tokens[at]?.kind === "field" && tokens[at]?.spaced === false) {
      names.push(tokens[at++]?.value ?? "");
    }
    return value && names.length > 0 ? { kind: "field", of: value, names, line: value.line } : value;
  };

  const term = (): Expression | undefined => {
    const token = tokens[at];
    if (token === undefined) return undefined;
    const { kind, value, line } = token;
    at++;
    switch (kind) {
      case "text":
        return { kind, value, line };
      case "number":
        return { kind, value, line };
      case "variable":
        return { kind, name: value, line };
      case "field":
        return { kind, of: { kind: "dot", line }, names: [value], line };
      case "name":
        if (value === "true" || value === "false" || value === "nil") return { kind: "word", value, line };
        return { kind: "call", name: value, args: [], line };
      case "sign":
        if (value === ".") return { kind: "dot", line };
        if (value === "(") {
          const inner = pipeline();
          if (!isSign(")")) throw new GoSyntaxError(line, "( has no )");
          at++;
          return inner;
        }
        at--;
        return undefined;
    }
  };

  const value = pipeline();
  if (at < tokens.length) {
    throw new GoSyntaxError(tokens[at]?.line ?? line, `unexpected ${tokens[at]?.value} in an action`);
  }
  return declares ? { declares: declares.declaration, value } : { value };
}

function withArgument(of: Expression, arg: Expression): Expression {
  if (of.kind === "call") return { ...of, args: [...of.args, arg] };
  if (of.kind === "method") return { ...of, args: [...of.args, arg] };
  return { kind: "method", of, args: [arg], line: of.line };
}

function declaration(
  tokens: readonly Token[],
): { readonly declaration: Declaration; readonly length: number } | undefined {
  const [first, sign, second, assign] = tokens;
  if (first?.kind !== "variable" || first.value === "" || sign?.kind !== "sign") return undefined;
  if (sign.value === ":=" || sign.value === "=") {
    return { declaration: { names: [first.value], assigns: sign.value === "=" }, length: 2 };
  }
  if (sign.value !== "," || second?.kind !== "variable" || !assign) return undefined;
  return {
    declaration: { names: [first.value, second.value], assigns: assign.value === "=" },
    length: 4,
  };
}
