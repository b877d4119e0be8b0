/**
 * A function that templates call. It computes from its arguments and from what the render gives it as `Call`, and
 * from nothing else. An error that it throws says what is wrong in words; the template's name, the place and the
 * helper's name are put before it.
 */
export interface Helper<Call = unknown> {
  /** How few and how many arguments without a name it takes. */
  readonly arity: readonly [least: number, most: number];
  /** The arguments with a name (`default="x"`) that it knows. */
  readonly named: readonly string[];
  /** Steps for each item of its lists and each 64 characters; 1 when absent. */
  readonly cost?: number;
  /** It looks for its second argument in its first one. */
  readonly searches?: true;
  readonly call: (args: readonly unknown[], named: Readonly<Record<string, unknown>>, call: Call) => unknown;
}

/** A helper without named arguments that needs nothing but its arguments. */
export function pure(least: number, most: number, call: (...args: readonly unknown[]) => unknown): Helper {
  return { arity: [least, most], named: [], call: (args) => call(...args.map(unquoted)) };
}

const quotedText = Symbol("quoted");

/** The result of `quote` or `json`: it passes `{{x}}` as it is. */
export interface Quoted {
  readonly [quotedText]: string;
}

/** Marks a text as fit for the file. */
export function quoted(text: string): Quoted {
  return { [quotedText]: text };
}

/** The text of a quoted value, undefined for any other. */
export function quotedTextOf(value: unknown): string | undefined {
  return isObject(value) ? (value as unknown as Partial<Quoted>)[quotedText] : undefined;
}

/** Helpers work on quoted text as on any other; their result has to be admitted again. */
export function unquoted(value: unknown): unknown {
  return quotedTextOf(value) ?? value;
}

/** A text, number or boolean as text. Throws for anything else. */
export function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new Error(`needs a text, not ${kindOf(value)}`);
}

/** A number, or a text that is one. Throws for anything else. */
export function number(value: unknown): number {
  const read = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof read === "number" && Number.isFinite(read)) return read;
  throw new Error(`needs a number, not ${typeof value === "string" ? JSON.stringify(value) : kindOf(value)}`);
}

/** A list; null is an empty one. Throws for anything else. */
export function list(value: unknown): readonly unknown[] {
  if (value === null) return [];
  if (Array.isArray(value)) return value;
  throw new Error(`needs a list, not ${kindOf(value)}`);
}

/** An object with fields, e.g. an instance. Throws for anything else. */
export function object(value: unknown): Readonly<Record<string, unknown>> {
  if (isObject(value) && !Array.isArray(value)) return value;
  throw new Error(`needs an instance or another object, not ${kindOf(value)}`);
}

/** What `if` takes for true: everything but false, 0, an empty text or list, null and a missing value. */
export function truthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(unquoted(value));
}

/** A field by its dotted path, `meta.version`; own fields only. A name with dots in it is found as well. */
export function field(value: unknown, path: string): unknown {
  if (path === "." || path === "this") return value;
  if (!isObject(value)) return undefined;
  if (Object.hasOwn(value, path)) return value[path];
  for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
    const head = path.slice(0, dot);
    const found = Object.hasOwn(value, head) ? field(value[head], path.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a value is, as words for an error. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "a missing value; give a default, or test it with {{#if}}";
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value === "string" ? "text" : typeof value}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
