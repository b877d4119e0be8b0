import type { ContainerPort } from "../docker/container.ts";
import type { Said } from "../rules/attributes.ts";
import { limits, whyNoTag } from "../rules/limits.ts";
import type { Notes } from "../rules/notes.ts";
import { type PhraseContext, phrasedTags } from "../rules/phrases.ts";
import type { Metadata } from "./metadata.ts";

/**
 * The tags of a comma list as registrator reads it: `\,` is a comma, empty items are dropped, blanks stay, and
 * the order is reversed.
 */
export function readTags(list: string): readonly string[] {
  return list
    .split(/(?<!\\),/)
    .map((tag) => tag.replaceAll("\\,", ","))
    .filter((tag) => tag !== "")
    .reverse();
}

/** The container's tags reversed, then those of `-tags` reversed, then `udp` for a UDP port. */
export function tagsOf(
  metadata: Metadata,
  appended: readonly string[],
  phrase: PhraseContext,
  port: ContainerPort,
  notes: Notes,
): Said<readonly string[]> {
  const given = metadata.get("tags");
  const fit = readTags(given?.value ?? "").filter((tag) => {
    const why = whyNoTag(tag);
    if (given && why !== undefined) notes.refused(given, `a tag ${why}; change it (it is left out)`, port);
    return why === undefined;
  });
  if (given && fit.length > limits.tags) {
    notes.refused(given, `more than ${limits.tags} tags; the others are left out`, port);
  }
  const own = fit.slice(0, limits.tags);
  const more = [...phrasedTags(appended, phrase, port, notes).value].reverse();
  const udp = port.protocol === "udp" ? ["udp"] : [];
  const from = [
    ...(given && own.length > 0 ? [`${given.from}, reversed`] : []),
    ...(more.length > 0 ? ["-tags, reversed"] : []),
    ...(udp.length > 0 ? ["udp for its protocol"] : []),
  ];
  return { value: [...own, ...more, ...udp], from: from.join("; ") || "none is given" };
}
