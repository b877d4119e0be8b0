/**
 * Splits a command line into words as a shell does: quotes of both kinds, and a backslash outside of single
 * quotes. Nothing is expanded. Undefined when a quote has no end.
 */
export function splitWords(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    const next = line.charAt(at + 1);
    if (quote === undefined && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === "\\" && quote !== "'" && (quote === undefined ? next !== "" : /["\\$`]/.test(next))) {
      word = (word ?? "") + next;
      at += 1;
    } else if (char === quote) {
      quote = undefined;
    } else if (quote === undefined && (char === "'" || char === '"')) {
      quote = char;
      word ??= "";
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== undefined) words.push(word);
  return quote === undefined ? words : undefined;
}
