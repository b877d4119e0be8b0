import { NotTurned, number, text, type Value } from "./shape.ts";

/** A text as Handlebars writes it. Its only escape is that of the quote itself. Throws NotTurned. */
export function textLiteral(value: string): Value {
  const quote = ['"', "'"].find((mark) => !value.includes(mark) && !value.endsWith("\\"));
  if (quote === undefined) {
    throw new NotTurned(
      "Handlebars cannot write a text that ends in a backslash or holds both kinds of quotes; take it from a variable: (env …)",
    );
  }
  return { code: `${quote}${value}${quote}`, shape: text, literal: value, free: true };
}

/** A number as Handlebars writes it. Throws NotTurned for Go's other notations. */
export function numberLiteral(value: string): Value {
  const read = Number(value.replaceAll("_", ""));
  if (!Number.isFinite(read)) throw new NotTurned(`the number ${value} is not written like that here`);
  if (/[.eE]/.test(value) && !/^0[xX]/.test(value) && Number.isInteger(read))
    throw new NotTurned(`the number ${value} is a whole one here, and divided as one; write ${read}`);
  return { code: String(read), shape: number, literal: String(read), free: true };
}
