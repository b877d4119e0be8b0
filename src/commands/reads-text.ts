import { shown, visible } from "../registrator/rules/shown.ts";
import type { Target } from "../templater/target.ts";
import type { Reads } from "../templater/view.ts";
import type { HeldBackHere } from "./held-back-here.ts";

/**
 * What a target's template has read, for people: a line for each kind of thing, of variables the names only; and a line
 * for each service that its file shows as it was.
 */
export function readsText(
  { source, destination }: Pick<Target, "source" | "destination">,
  { services, all, keys, trees, files }: Reads,
  variables: ReadonlyMap<string, boolean>,
  heldBack: readonly Pick<HeldBackHere, "service" | "why">[],
): string {
  const named = [...variables].map(([name, isSet]) => (isSet ? name : `${name} (not set)`));
  const kinds: readonly (readonly [kind: string, things: Iterable<string>])[] = [
    ["template", [source]],
    ["services", [...(all ? ["the list of all, with their instances"] : []), ...sorted(services)]],
    ["keys", sorted(keys)],
    ["keys below", sorted(trees)],
    ["files", sorted(files)],
    ["variables", named.sort()],
    ...heldBack.map(({ service, why }) => ["held back", [`${shown(service)}: ${visible(why)}`]] as const),
  ];
  const lines = kinds.flatMap(([kind, things]) => {
    const list = [...things].join(", ");
    return list === "" ? [] : [`  ${kind.padEnd(10)}  ${list}\n`];
  });
  return `${destination}\n${lines.join("")}`;
}

const sorted = (names: ReadonlySet<string> = new Set()) => [...names].sort();
