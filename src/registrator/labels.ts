import { compare } from "../instance.ts";
import type { Container, ContainerPort } from "./container.ts";

/** A value that a container gives, and the label or variable that holds it. */
export interface Given {
  readonly value: string;
  /** E.g. `label SERVICE_80_WEIGHT`. */
  readonly from: string;
}

/** What a container says about one of its ports. */
export interface Labels {
  /** The most specific value of a key (lower case), given for the port or for the whole container. */
  get(key: string): Given | undefined;
  /** Only a value that was given for this very port. */
  specific(key: string): Given | undefined;
  /** All keys that are given, in order. */
  keys(): readonly string[];
}

/**
 * Reads the labels and variables that begin with `prefix`. `<prefix><port>_<PROTOCOL>_KEY` beats
 * `<prefix><port>_KEY`, which beats `<prefix>KEY`; a label beats a variable of the same kind.
 */
export function readLabels(container: Container, port: ContainerPort | undefined, prefix: string): Labels {
  const levels = [new Map<string, Given>(), new Map<string, Given>(), new Map<string, Given>()] as const;
  const sources = [
    ["variable", container.env],
    ["label", container.labels],
  ] as const;
  for (const [kind, entries] of sources) {
    for (const [name, value] of Object.entries(entries).sort(([a], [b]) => compare(a, b))) {
      if (!name.startsWith(prefix)) continue;
      const match = /^(?:(\d+)_(?:(TCP|UDP|SCTP)_)?)?(.+)$/i.exec(name.slice(prefix.length));
      const key = match?.[3]?.toLowerCase();
      if (!match || !key) continue;
      const [, number, protocol] = match;
      if (number !== undefined && Number(number) !== port?.port) continue;
      if (protocol !== undefined && protocol.toLowerCase() !== port?.protocol) continue;
      const level = number === undefined ? 0 : protocol === undefined ? 1 : 2;
      levels[level].set(key, { value, from: `${kind} ${name}` });
    }
  }
  const [general, byPort, byProtocol] = levels;
  const specific = (key: string) => byProtocol.get(key) ?? byPort.get(key);
  return {
    specific,
    get: (key) => specific(key) ?? general.get(key),
    keys: () => [...new Set(levels.flatMap((level) => [...level.keys()]))].sort(compare),
  };
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
