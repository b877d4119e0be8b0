import { compilePhrase, isPhrase, type Phrase } from "../../handlebars/phrase.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import type { Said } from "./attributes.ts";
import { splitList } from "./labels.ts";
import { limits, whyNoName, whyNoTag } from "./limits.ts";
import type { Notes } from "./notes.ts";
import { shown } from "./shown.ts";

/** What `--name` and `--tags` can read. */
export interface PhraseContext {
  readonly container: Pick<Container, "id" | "name">;
  readonly image: string;
  readonly node: string;
  readonly port: number;
  readonly protocol: ContainerPort["protocol"];
  /** The name by the rules. */
  readonly service: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only the variables that registration may read. */
  readonly env: Readonly<Record<string, string>>;
}

/** What a container's port gives to read before it has a name. */
export function phraseContext(
  container: Container,
  { port, protocol }: ContainerPort,
  node: string,
): Omit<PhraseContext, "service"> {
  const { id, name, image, labels, env } = container;
  return { container: { id, name }, image, node, port, protocol, labels, env };
}

/** The name that `--name` gives. What it gives that is no name is noted, and the rules' name stays. */
export function phrasedName(
  ruled: Said<string>,
  template: string | undefined,
  context: Omit<PhraseContext, "service">,
  port: ContainerPort,
  notes: Notes,
): Said<string> {
  if (template === undefined) return ruled;
  const refuse = (why: string) => {
    notes.mistake(`${why} (the name is ${shown(ruled.value)}, by the rules)`, port);
    return ruled;
  };
  const told = tell("--name", template, { ...context, service: ruled.value });
  if ("error" in told) return refuse(told.error);
  const name = told.text.trim();
  if (name === "") return refuse(`--name ${shown(template)} gives an empty name`);
  const why = whyNoName(name);
  if (why !== undefined) return refuse(`--name ${shown(template)} gives ${shown(name)}, which ${why}`);
  return { value: name, from: `--name ${shown(template)}` };
}

/** The tags that `--tags` adds: a template may give several, with commas, or none. */
export function phrasedTags(
  tags: readonly string[],
  context: PhraseContext,
  port: ContainerPort,
  notes: Notes,
): Said<readonly string[]> {
  const all = tags.flatMap((tag) => {
    if (!isPhrase(tag)) return tag;
    const told = tell("--tags", tag, context);
    if ("error" in told) {
      notes.mistake(`${told.error} (the tag is left out)`, port);
      return [];
    }
    return splitList(told.text).filter((item) => {
      const why = whyNoTag(item);
      if (why !== undefined)
        notes.mistake(`--tags ${shown(tag)} gives ${shown(item)}, which ${why} (the tag is left out)`, port);
      return why === undefined;
    });
  });
  return { value: all.slice(0, limits.tags), from: "--tags" };
}

/** Compiled once each: an operator gives a handful. */
const phrases = new Map<string, Phrase>();

/** An error of a template concerns this one container, whatever it is. */
function tell(
  option: string,
  text: string,
  context: PhraseContext,
): { readonly text: string } | { readonly error: string } {
  if (!isPhrase(text)) return { text };
  try {
    const key = `${option} ${text}`;
    const phrase = phrases.get(key) ?? compilePhrase(`${option} ${shown(text)}`, text);
    phrases.set(key, phrase);
    return { text: phrase.tell({ ...context }) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
