import { coded, type ErrorCode } from "../errors.ts";
import type { Mistake } from "./mistake.ts";
import type { Values } from "./options.ts";

/** The options whose values may be templates. */
const phraseOptions = ["name", "tags"] as const;

/**
 * What is wrong with the templates in options, before any container is looked at. `label` tells where an
 * option was given, as its user knows it. The language is loaded only when one is given.
 */
export async function phraseMistakes(
  values: Pick<Values, (typeof phraseOptions)[number]>,
  label: (name: (typeof phraseOptions)[number]) => { readonly code: ErrorCode; readonly at: string },
): Promise<readonly Mistake[]> {
  const given = phraseOptions.flatMap((name) => {
    const texts = [values[name] ?? []].flat();
    return texts.map((text, index) => ({ name, text, item: texts.length > 1 ? `, item ${index + 1}` : "" }));
  });
  const phrases = given.filter(({ text }) => text.includes("{{"));
  if (phrases.length === 0) return [];
  const { compilePhrase } = await import("../handlebars/phrase.ts");
  return phrases.flatMap(({ name, text, item }) => {
    const { code, at } = label(name);
    try {
      compilePhrase(`${at}${item}`, text);
      return [];
    } catch (error) {
      return coded("TEMPLATE", error)
        .message.split("\n")
        .map((line): Mistake => ({ code, text: line }));
    }
  });
}
