import { longName, type Option } from "./options.ts";

type Known = readonly (readonly [name: string, option: Option<unknown>])[];

/**
 * The words as commander takes them: `--switch=false` becomes `--no-switch`; and for registrator's own
 * command lines, Go's `-word` becomes `--word`, camelCase to kebab. An option whose argument is missing is
 * left out and reported.
 */
export function spellOut(
  argv: readonly string[],
  known: Known,
  go: boolean,
): { readonly words: readonly string[]; readonly mistakes: string[] } {
  const words: string[] = [];
  const mistakes: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    let word = argv[at] ?? "";
    if (word === "--") return { words: [...words, ...argv.slice(at)], mistakes };
    const [, dashes = "", name = "", rest = ""] = /^(--?)([A-Za-z][\w-]+)(=.*)?$/s.exec(word) ?? [];
    if (go && dashes === "-") word = `--${longName(name)}${rest}`;
    if (go && dashes === "--" && /[A-Z]/.test(name)) word = `--${longName(name)}${rest}`;
    if (!takesNext(word, known)) {
      words.push(spellSwitch(word, known));
      continue;
    }
    const argument = argv[at + 1];
    if (argument === undefined) mistakes.push(`${word} needs an argument`);
    else words.push(word, argument);
    at += 1;
  }
  return { words, mistakes };
}

function spellSwitch(word: string, known: Known): string {
  const [, long, text = ""] = /^--([a-z-]+)=(.*)$/s.exec(word) ?? [];
  const option = known.find(([name]) => longName(name) === long)?.[1];
  if (option?.kind !== "switch") return word;
  return /^(false|f|0|no|off)$/i.test(text)
    ? `--no-${long}`
    : /^(true|t|1|yes|on)$/i.test(text)
      ? `--${long}`
      : word;
}

/** True when the word is an option whose argument is the next word. */
export function takesNext(word: string, known: Known): boolean {
  return known.some(
    ([name, { kind, short }]) =>
      kind !== "switch" && (word === `--${longName(name)}` || (short !== undefined && word === `-${short}`)),
  );
}
