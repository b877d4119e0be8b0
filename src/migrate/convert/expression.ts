import type { Expression } from "../go/ast.ts";
import type { Vocabulary } from "../vocabulary/entry.ts";
import { numberLiteral, textLiteral } from "./literal.ts";
import { NotTurned, truth, type Value } from "./shape.ts";
import { fieldOf } from "./value.ts";

/** What names mean at a place of a template. */
export interface Scope {
  readonly dot: Value;
  /** `$`. */
  readonly root: Value;
  readonly variables: ReadonlyMap<string, Value>;
  /** The names that the blocks around have given to their values: a field of the same name is hidden. */
  readonly hidden: ReadonlySet<string>;
}

/** What a tool's templates are written in. */
export interface Language {
  readonly functions: Vocabulary;
  /** What the dot is at the top of a template. */
  readonly top: Value;
}

/** Reports a function that was turned into something not quite the same. */
export type Differs = (line: number, name: string, how: string) => void;

/** Turns an expression. Throws NotTurned. */
export function turnExpression(
  expression: Expression,
  scope: Scope,
  language: Language,
  differs: Differs,
): Value {
  /** A part of the expression: what it would have given is not what the whole gives. */
  const turn = (one: Expression): Value => {
    try {
      return turnExpression(one, scope, language, differs);
    } catch (error) {
      throw error instanceof NotTurned ? new NotTurned(error.message) : error;
    }
  };
  switch (expression.kind) {
    case "text":
      return textLiteral(expression.value);
    case "number":
      return numberLiteral(expression.value);
    case "word":
      if (expression.value === "nil") throw new NotTurned("nil; ask with {{#if}} whether there is a value");
      return { code: expression.value, shape: truth, literal: expression.value, free: true };
    case "dot":
      return scope.dot;
    case "variable": {
      if (expression.name === "") return scope.root;
      const value = scope.variables.get(expression.name);
      if (value === undefined)
        throw new NotTurned(`$${expression.name} was not turned, or is not known here`);
      return value;
    }
    case "field": {
      const path = nameOf(expression);
      if (path !== undefined && Object.hasOwn(language.functions, path))
        return applied(path, [], expression.line);
      return expression.names.reduce(
        (value, name) => fieldOf(value, name, scope.hidden),
        turn(expression.of),
      );
    }
    case "call":
      return applied(expression.name, expression.args.map(turn), expression.line);
    case "method": {
      const path = nameOf(expression.of);
      if (path === undefined) throw new NotTurned("a value with arguments; only functions have them here");
      return applied(path, expression.args.map(turn), expression.line);
    }
  }

  function applied(name: string, args: readonly Value[], line: number): Value {
    const entry = Object.hasOwn(language.functions, name) ? language.functions[name] : undefined;
    if (entry === undefined)
      throw new NotTurned(`${name} is unknown; write it with the helpers that there are`);
    if (entry.turn === undefined) throw new NotTurned(`${name}: ${entry.here}`);
    const value = withName(name, () => entry.turn?.(args) as Value);
    if (entry.differs !== undefined) differs(line, name, entry.differs);
    return value;
  }
}

/** `scratch.Get` of `scratch.Get "a"`; undefined for what has no such name. */
function nameOf(expression: Expression): string | undefined {
  if (expression.kind !== "field" || expression.of.kind !== "call" || expression.of.args.length > 0) {
    return undefined;
  }
  return [expression.of.name, ...expression.names].join(".");
}

function withName<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NotTurned) throw new NotTurned(`${name}: ${error.message}`, error.gives);
    throw error;
  }
}
