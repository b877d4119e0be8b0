import type { Backend, Notes } from "../backends/backend.ts";
import {
  decodeOverride,
  encodeOverride,
  type Override,
  type OverrideTarget,
  overrideName,
} from "../override.ts";

/**
 * Every override of a backend by its name, read now; `title` is the backend's. What cannot be read counts for nobody,
 * and is written anew.
 */
export async function readOverrides(
  notes: Pick<Notes, "list">,
  title: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Override>> {
  return overridesIn(await notes.list(signal), title);
}

/** Every override of the backends that keep notes, read now. */
export async function allOverrides(
  backends: readonly Pick<Backend, "title" | "notes">[],
  signal: AbortSignal,
): Promise<readonly Override[]> {
  const all = await Promise.all(
    backends.map(async ({ title, notes }) =>
      notes ? [...(await readOverrides(notes("overrides"), title, signal)).values()] : [],
    ),
  );
  return all.flat();
}

/** The overrides that notes hold, by name, without those that cannot be read. */
export function overridesIn(
  texts: ReadonlyMap<string, string>,
  title: string,
): ReadonlyMap<string, Override> {
  return new Map(
    [...texts].flatMap(([name, text]): (readonly [string, Override])[] => {
      try {
        return [[name, decodeOverride(name, text, `${title}: overrides/${name}`)]];
      } catch {
        return [];
      }
    }),
  );
}

/**
 * Puts what `change` makes of the override of a target in its place, as often as somebody else changes it at the same
 * time; `title` is the backend's. Nothing is written where `change` answers what there was; where that asks for
 * nothing, the note is removed. Resolves with the note, undefined for none.
 */
export async function changeOverride(
  { notes, title }: { readonly notes: Pick<Notes, "list" | "exchange">; readonly title: string },
  target: Pick<OverrideTarget, "id" | "node">,
  change: (before: Override | undefined, all: ReadonlyMap<string, Override>) => Override | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const name = overrideName(target);
  for (;;) {
    const texts = await notes.list(signal);
    const all = overridesIn(texts, title);
    const [before, text] = [all.get(name), texts.get(name)];
    const after = change(before, all);
    if (after === before) return text;
    const next = after && encodeOverride(after);
    if (await notes.exchange(name, text, next, signal)) return next;
  }
}
