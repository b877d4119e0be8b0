const longest = 80;
const plain = /^[\p{L}\p{N}\p{M}\p{P}\p{S} ]*$/u;
const unseen = /[^\p{L}\p{N}\p{M}\p{P}\p{S} ]/gu;

/**
 * A text for a message or a terminal: as it is where it is plain and short, else quoted, cut, and with every
 * character that cannot be seen or that changes the order of others as an escape.
 */
export function shown(text: string): string {
  if (text.length <= longest && plain.test(text)) return text;
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return visible(JSON.stringify(cut));
}

/** The text with control, format and lone surrogate characters as escapes, whatever its length. */
export function visible(text: string): string {
  return text.replace(unseen, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
