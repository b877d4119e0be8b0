import type { Part, Piece } from "./piece.ts";

type Block = Extract<Piece, { kind: "block" }>;

/**
 * Lets tags stand on lines of their own, as people write them. What the template gives stays the same, but for lines
 * that hold nothing: Go leaves one wherever a tag stands alone on its line.
 */
export function tidy(pieces: readonly Piece[]): readonly Piece[] {
  const turned = rotate(merge(pieces), true);
  const bared = bare(turned, true, true);
  return merge(strip(bared, true, false).pieces);
}

/** Joins neighbouring texts and leaves out empty ones. */
export function merge(pieces: readonly Piece[]): readonly Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (piece.kind === "text" && last?.kind === "text") {
      out[out.length - 1] = { kind: "text", text: last.text + piece.text };
    } else if (piece.kind === "block") out.push(inside(piece, merge));
    else if (piece.kind !== "text" || piece.text !== "") out.push(piece);
  }
  return out;
}

function inside(block: Block, change: (body: readonly Piece[]) => readonly Piece[]): Block {
  return { ...block, parts: block.parts.map((part): Part => ({ ...part, body: change(part.body) })) };
}

/**
 * Moves line breaks from the beginning of what repeats to its end: `a{{#each}}\nb{{/each}}\nc` gives the same as
 * `a\n{{#each}}b\n{{/each}}c`.
 */
function rotate(pieces: readonly Piece[], isTop = false): readonly Piece[] {
  const out = [...pieces];
  for (let at = 0; at < out.length; at++) {
    if (!isTag(out[at]) || isTag(out[at - 1])) continue;
    let end = at;
    while (isTag(out[end])) end++;
    const before = out[at - 1];
    const next = out[end];
    const row = out.slice(at, end);
    if (next?.kind !== "text" || !next.text.startsWith("\n") || !begins(row)) continue;
    // Where nothing but blanks stand on the line before, the line break is that of an empty line: it goes.
    const indented = before?.kind === "text" && /\n[ \t]*$/.test(before.text);
    const fresh = indented || (before === undefined && isTop);
    if (fresh && row.every((piece) => piece.kind !== "block" || piece.parts.every(({ body }) => ends(body))))
      continue;
    if (indented) out[at - 1] = { kind: "text", text: before.text.replace(/[ \t]+$/, "") };
    const line: Piece = { kind: "text", text: fresh ? "" : "\n" };
    const moved = row.map((piece) => (piece.kind === "block" ? inside(piece, moveLine) : piece));
    out.splice(at, end - at + 1, line, ...moved, { kind: "text", text: next.text.slice(1) });
    at = end;
  }
  return merge(out).map((piece) => (piece.kind === "block" ? inside(piece, (body) => rotate(body)) : piece));
}

/** What prints nothing by itself. */
function isTag(piece: Piece | undefined): boolean {
  return piece?.kind === "block" || piece?.kind === "comment";
}

/** True when whatever this gives is nothing, or begins with the end of a line that other text stands on. */
function begins(pieces: readonly Piece[]): boolean {
  const [first, ...rest] = pieces;
  if (first === undefined) return true;
  if (first.kind === "text") {
    return /^\n[ \t]*$/.test(first.text) ? rest.length > 0 : /^\n(?![ \t]*\n)/.test(first.text);
  }
  if (first.kind === "comment") return begins(rest);
  return first.kind === "block" && first.parts.every(({ body }) => begins(body)) && begins(rest);
}

/** True when this ends with the end of a line. */
function ends(pieces: readonly Piece[]): boolean {
  const last = pieces.at(-1);
  return last === undefined || (last.kind === "text" && /\n[ \t]*$/.test(last.text));
}

function moveLine(pieces: readonly Piece[]): readonly Piece[] {
  const [first, ...rest] = pieces;
  if (first === undefined) return [];
  if (first.kind === "text") {
    return merge([{ kind: "text", text: first.text.slice(1) }, ...rest, { kind: "text", text: "\n" }]);
  }
  return [first.kind === "block" ? inside(first, moveLine) : first, ...moveLine(rest)];
}

/** Takes the blanks away that stand before a tag where nothing but the end of the line can follow. */
function bare(pieces: readonly Piece[], after: boolean, isTop = false): readonly Piece[] {
  return pieces.map((piece, at): Piece => {
    const rest = pieces.slice(at + 1);
    const meetsTag = rest.length === 0 ? !isTop : isTag(rest[0]);
    if (piece.kind === "text" && meetsTag && startsBlank(rest, after)) {
      return { kind: "text", text: piece.text.replace(/\n[ \t]+$/, "\n") };
    }
    if (piece.kind !== "block") return piece;
    const follows = startsBlank(rest, after);
    const again = piece.name === "each" && piece.parts[0] ? startsBlank(piece.parts[0].body, follows) : true;
    return inside(piece, (body) => bare(body, follows && again));
  });
}

/** True when the first that this gives, on each way through it, is the end of a line. */
function startsBlank(pieces: readonly Piece[], after: boolean): boolean {
  const [first, ...rest] = pieces;
  if (first === undefined) return after;
  switch (first.kind) {
    case "text":
      return /^[ \t]*$/.test(first.text) ? startsBlank(rest, after) : /^[ \t]*\r?\n/.test(first.text);
    case "comment":
      return startsBlank(rest, after);
    case "block": {
      const follows = startsBlank(rest, after);
      const every = first.parts.every(({ body }) => startsBlank(body, follows));
      return every && (hasElse(first) || follows);
    }
    default:
      return false;
  }
}

function hasElse({ parts }: Block): boolean {
  return parts.at(-1)?.tag === "else";
}

/**
 * Takes the end of the line away that follows a tag where the line holds nothing, on each way through the template.
 * `fresh`: a line has just begun.
 */
function strip(
  pieces: readonly Piece[],
  fresh: boolean,
  isBody = true,
): { readonly pieces: readonly Piece[]; readonly fresh: boolean } {
  let state = fresh;
  const out = pieces.map((piece, at): Piece => {
    switch (piece.kind) {
      case "text": {
        const alone = state && (at > 0 ? isTag(pieces[at - 1]) : isBody);
        const text = alone ? piece.text.replace(/^[ \t]*\r?\n/, "") : piece.text;
        if (piece.text !== "") state = piece.text.endsWith("\n");
        return { kind: "text", text };
      }
      case "comment":
        return piece;
      case "block": {
        let start = state;
        // The second time round, a loop begins where its body ended.
        if (piece.name === "each") start &&= strip(piece.parts[0]?.body ?? [], state).fresh;
        const done = piece.parts.map((part, index) => {
          const made = strip(part.body, index === 0 ? start : state);
          return { part: { ...part, body: made.pieces }, fresh: made.fresh };
        });
        const passes = piece.name === "each" || !hasElse(piece) ? [state] : [];
        state = [...passes, ...done.map((one) => one.fresh)].every(Boolean);
        return { ...piece, parts: done.map(({ part }) => part) };
      }
      default:
        if (!/^(set|mapSet) /.test(piece.kind === "mustache" ? piece.code : "")) state = false;
        return piece;
    }
  });
  return { pieces: out, fresh: state };
}
