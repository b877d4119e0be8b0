import type { HclItem } from "./hcl.ts";

/** A command line found in a file: its words after the program's name, and where it stands. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly line: number;
}

/** The first line of a file that calls the program, with the lines that it goes on to. */
export function findCommandLine(text: string, program: string): CommandLine | undefined {
  const lines = text.split("\n");
  const calls = new RegExp(`(?:^|[\\s/'"=:])${program}["']?\\s+["']?-`);
  const at = lines.findIndex((line) => calls.test(line) && !/^\s*(#|\/\/)/.test(line));
  if (at < 0) return undefined;
  let whole = "";
  for (let next = at; next < lines.length; next++) {
    const line = lines[next] ?? "";
    const goesOn = line.endsWith("\\");
    whole += goesOn ? `${line.slice(0, -1)} ` : line;
    if (!goesOn) break;
  }
  const words = splitWords(whole);
  const start = words.findIndex((word) => new RegExp(`(?:^|/)${program}$`).test(word));
  return start < 0 ? undefined : { words: words.slice(start + 1), line: at + 1 };
}

/** Words as a shell takes them apart, as far as quotes and backslashes go. */
function splitWords(line: string): readonly string[] {
  const words = line.match(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g) ?? [];
  return words.map((word) =>
    word.replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, plain, double, single) =>
      plain !== undefined
        ? String(plain)
        : double !== undefined
          ? String(double).replace(/\\(["\\$`])/g, "$1")
          : String(single),
    ),
  );
}

/** Options and what stands alone, in Go's grammar: `-a b`, `-a=b`, `--a`; switches take no word. */
export function options(
  { words, line }: CommandLine,
  switches: ReadonlySet<string>,
): { readonly items: readonly HclItem[]; readonly alone: readonly string[] } {
  const items: HclItem[] = [];
  const alone: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const [, name = "", , given] = /^--?([a-zA-Z][\w-]*)(=([\s\S]*))?$/.exec(word) ?? [];
    if (name === "") {
      alone.push(word);
      continue;
    }
    const text = given ?? (switches.has(name) ? "true" : (words[++at] ?? ""));
    items.push({ key: `-${name}`, line, value: { kind: "text", text, line, textLine: line } });
  }
  return { items, alone };
}
