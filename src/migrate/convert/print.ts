import type { Piece } from "./piece.ts";
import { NotTurned, type Value } from "./shape.ts";
import { strict, walked } from "./value.ts";

/** What every format admits: other letters are refused where a value is printed. */
const admitted = /^[A-Za-z0-9._:/@+,=[\]-]*$/;

/** `{{x}}` for a value, or the pieces that it is made of. Throws NotTurned for what Go prints as a list or map. */
export function printed(value: Value): readonly Piece[] {
  const { literal, pieces, joins, shape, raw } = value;
  if (literal !== undefined) return [{ kind: "text", text: literal }];
  if (pieces) {
    return pieces.flatMap((piece) =>
      typeof piece === "string" ? [{ kind: "text", text: piece } as const] : printed(piece),
    );
  }
  if (joins && !admitted.test(joins.separator)) {
    const between: Piece = {
      kind: "block",
      name: "unless",
      parts: [{ tag: "#unless @last", body: [{ kind: "text", text: joins.separator }] }],
    };
    const body: readonly Piece[] = [{ kind: "mustache", code: "this" }, between];
    return [{ kind: "block", name: "each", parts: [{ tag: `#each ${walked(joins.list)}`, body }] }];
  }
  switch (shape.kind) {
    case "list":
    case "map":
    case "record":
    case "environment":
      throw new NotTurned(
        `it prints ${shape.kind === "record" ? shape.name : shape.kind === "environment" ? "all variables" : `a whole ${shape.kind}`}; print what is in it`,
      );
    case "nothing":
      throw new NotTurned(shape.why);
    default: {
      const { code } = strict(value);
      // In a loop, a helper without arguments reads like a field.
      const call = /^\(\w+\)$/.test(code) ? `default ${code} ""` : code.replace(/^\((.*)\)$/s, "$1");
      return [{ kind: "mustache", code: call, ...(raw && { raw }) }];
    }
  }
}
