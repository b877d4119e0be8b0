import { textLiteral } from "./literal.ts";
import { any, NotTurned, type Shape, text, type Value } from "./shape.ts";

/** A call of one of our helpers. What may be missing is the empty text, as in Go. */
export function call(helper: string, args: readonly Value[], shape: Shape, named = ""): Value {
  const words = [helper, ...args.map((arg) => strict(arg).code)].join(" ");
  return { code: `(${words}${named})`, shape, free: args.every((arg) => arg.free === true) };
}

/** The value with the empty text in the place of nothing. */
export function strict(value: Value): Value {
  return value.maybe ? { ...value, code: `(default ${value.code} "")`, maybe: false } : value;
}

/** What an `{{#if}}` asks: an empty map is false in Go, and an object is always true here. */
export function condition(value: Value): string {
  return value.shape.kind === "map" ? `(len ${value.code})` : value.code;
}

/** What an `{{#each}}` walks, in Go's order: nothing where there is no list. */
export function walked(value: Value): string {
  return value.maybe ? `(coalesce ${value.code})` : inOrder(value).code;
}

/** A list in the order that Go has it in. */
export function inOrder(value: Value): Value {
  const isSorted = value.shape.kind === "list" && value.shape.sorted === true;
  return isSorted ? { ...value, code: `(sortBy ${strict(value).code} ".")`, maybe: false } : value;
}

/** What a `{{#with}}` takes. */
export function entered(value: Value): string {
  return strict(value).code;
}

/** A field, as Go names it. `hidden`: names that mean something else here. Throws NotTurned. */
export function fieldOf(value: Value, name: string, hidden: ReadonlySet<string>): Value {
  const { shape } = value;
  const free = value.free === true;
  switch (shape.kind) {
    case "any":
      return { code: below(value.code, name, hidden), shape: any, maybe: true, free };
    case "map":
      return { code: below(value.code, name, hidden), shape: shape.of, maybe: true, free };
    case "environment":
      return call("env", [textLiteral(name)], text, ' default=""');
    case "list":
    case "record": {
      const fields = shape.fields ?? {};
      const what = shape.kind === "list" ? "a list" : shape.name;
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (field === undefined) {
        const known = Object.keys(fields).flatMap((one) =>
          "refused" in (fields[one] ?? {}) ? [] : [`.${one}`],
        );
        throw new NotTurned(`.${name} is no field of ${what} here; there are ${known.join(", ") || "none"}`);
      }
      if ("refused" in field) throw new NotTurned(`.${name}: ${field.refused}`);
      if ("make" in field) return field.make(value);
      const code = field.to === "" ? value.code : below(value.code, field.to, hidden);
      return { code, shape: field.shape, maybe: field.maybe === true, free };
    }
    case "nothing":
      throw new NotTurned(shape.why);
    default:
      throw new NotTurned(`.${name} of a text or number is unknown`);
  }
}

function below(code: string, path: string, hidden: ReadonlySet<string>): string {
  if (code === "this") return hidden.has(path.split(".")[0] ?? "") ? `this.${path}` : path;
  if (!code.startsWith("(")) return `${code}.${path}`;
  const keys = path.split(".").map((key) => `"${key}"`);
  return `(${keys.length > 1 ? "index" : "lookup"} ${code} ${keys.join(" ")})`;
}

/** The text that an object stands for, where it stands for one. */
export function throughHelper(code: string, shape: Shape): string {
  return shape.kind === "text" && shape.through !== undefined ? `(${shape.through} ${code})` : code;
}

/** An item of a list or map by a computed key. */
export function itemOf(value: Value, key: Value): Value {
  const { shape } = value;
  if (shape.kind === "nothing") throw new NotTurned(shape.why);
  if (shape.kind === "environment") return call("env", [key], text, ' default=""');
  const of = shape.kind === "list" || shape.kind === "map" ? shape.of : any;
  const helper = shape.kind === "list" || key.shape.kind === "number" ? "index" : "lookup";
  const made = call(helper, [{ ...inOrder(value), maybe: false }, key], of);
  return { ...made, code: throughHelper(made.code, of), maybe: shape.kind !== "list" };
}

/** Texts and values one after the other. */
export function joined(pieces: readonly (string | Value)[], printf: Value): Value {
  return { ...printf, shape: text, pieces };
}
