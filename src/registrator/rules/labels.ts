import { compare } from "../../instance.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import { shown } from "./shown.ts";

/** A value that a container gives, and the label or variable that holds it. */
export interface Given {
  readonly value: string;
  /** E.g. `label SERVICE_80_WEIGHT`. */
  readonly from: string;
}

/** A value with what it was given for: the whole container, a range of ports, a port, or a port with its protocol. */
export interface Label extends Given {
  readonly of: "container" | "range" | "port" | "protocol";
}

/** What a container says about one of its ports. */
export interface Labels {
  /** The most specific value of a key (lower case), given for the port or for the whole container. */
  get(key: string): Label | undefined;
  /** Only a value that was given for this very port. */
  specific(key: string): Label | undefined;
  /** Only a value that was given for the whole container. */
  general(key: string): Label | undefined;
  /** Every value that was given for a key, the most specific first. */
  all(key: string): readonly Label[];
  /** All keys that are given, in order. */
  keys(): readonly string[];
  /** Names that say the same as another one, which counts. */
  readonly doubles: readonly Double[];
}

/** Two names of one key: they differ in case or in leading zeros only. */
export interface Double {
  readonly unused: Label;
  readonly used: Label;
}

/**
 * Reads the labels and variables that begin with `prefix`. `<prefix><port>_<PROTOCOL>_KEY` beats
 * `<prefix><port>_KEY`, which beats `<prefix>KEY`; between the last two is `<prefix><port>-<port>_IGNORE`. A label beats a variable of the same kind. Of two spellings
 * of one key the usual one counts, else the first in order.
 */
export function readLabels(
  container: Pick<Container, "labels" | "env">,
  port: ContainerPort | undefined,
  prefix: string,
): Labels {
  const levels: Readonly<Record<Label["of"], Map<string, Label>>> = {
    protocol: new Map(),
    port: new Map(),
    range: new Map(),
    container: new Map(),
  };
  const doubles: Double[] = [];
  const sources = [
    ["label", container.labels],
    ["variable", container.env],
  ] as const;
  for (const [kind, entries] of sources) {
    const seen = new Map<string, Label>();
    for (const { name, key, of, value } of entriesFor(entries, port, prefix)) {
      const given = { value, from: `${kind} ${shown(name)}`, of };
      const used = seen.get(`${of} ${key}`);
      if (used) {
        if (used.value !== value) doubles.push({ unused: given, used });
        continue;
      }
      seen.set(`${of} ${key}`, given);
      if (!levels[of].has(key)) levels[of].set(key, given);
    }
  }
  const all = (key: string) => Object.values(levels).flatMap((level) => level.get(key) ?? []);
  return {
    get: (key) => all(key)[0],
    specific: (key) => all(key).find(({ of }) => of !== "container"),
    general: (key) => levels.container.get(key),
    all,
    keys: () => [...new Set(Object.values(levels).flatMap((level) => [...level.keys()]))].sort(compare),
    doubles,
  };
}

/** The labels and variables that are given for a port, with its number. */
export function labelledPorts(
  container: Pick<Container, "labels" | "env">,
  prefix: string,
): readonly { readonly from: string; readonly number: number }[] {
  const of = (kind: string, entries: Readonly<Record<string, string>>) =>
    Object.keys(entries)
      .sort(compare)
      .flatMap((name) => {
        const number = name.startsWith(prefix) && /^(\d+)_./s.exec(name.slice(prefix.length))?.[1];
        return number ? { from: `${kind} ${shown(name)}`, number: Number(number) } : [];
      });
  return [...of("label", container.labels), ...of("variable", container.env)];
}

interface Entry {
  readonly name: string;
  /** In lower case. */
  readonly key: string;
  readonly of: Label["of"];
  readonly value: string;
}

/** What is said about a port, in the usual spelling first, then by name. */
function entriesFor(
  entries: Readonly<Record<string, string>>,
  port: ContainerPort | undefined,
  prefix: string,
): readonly Entry[] {
  const found: (Entry & { readonly usual: boolean })[] = [];
  for (const [name, value] of Object.entries(entries)) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    const [, first, last] = /^(\d+)-(\d+)_ignore$/i.exec(rest) ?? [];
    if (first !== undefined) {
      const isMeant = port !== undefined && port.port >= Number(first) && port.port <= Number(last);
      const usual = rest === rest.toUpperCase();
      if (isMeant) found.push({ name, key: "ignore", of: "range", value, usual });
      continue;
    }
    const [, number, protocol, key] = /^(?:(\d+)_(?:(TCP|UDP|SCTP)_)?)?(.+)$/is.exec(rest) ?? [];
    if (key === undefined) continue;
    if (number !== undefined && Number(number) !== port?.port) continue;
    if (protocol !== undefined && protocol.toLowerCase() !== port?.protocol) continue;
    const of = number === undefined ? "container" : protocol === undefined ? "port" : "protocol";
    const usual = !number?.startsWith("0") && rest === rest.toUpperCase();
    found.push({ name, key: key.toLowerCase(), of, value, usual });
  }
  return found.sort((a, b) => Number(b.usual) - Number(a.usual) || compare(a.name, b.name));
}

/** Splits a comma list; `\,` is a comma. Blank items are dropped, blanks around items too. */
export function splitList(text: string): string[] {
  return text
    .split(/(?<!\\),/)
    .map((item) => item.replaceAll("\\,", ",").trim())
    .filter((item) => item !== "");
}

/** False for nothing, `false`, `0` and `no` in any case; true for all else. */
export function isTrue(given: Given | undefined): boolean {
  return given !== undefined && !/^(false|0|no|)$/i.test(given.value.trim());
}

/** A given value as a message names it: `label SERVICE_WEIGHT=heavy`; of a check just its name, for it may hold a secret. */
export function told({ from, value }: Given): string {
  return /check_/i.test(from) ? from : `${from}=${shown(value)}`;
}
