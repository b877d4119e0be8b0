import type { Backend, Notes } from "../backends/backend.ts";
import { decodeOverride, encodeOverride, type Override, overrideName } from "../override.ts";

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

/** Writes an override, or removes its note where it asks for nothing. */
export async function writeOverride(
  notes: Pick<Notes, "put" | "remove">,
  override: Override,
  signal: AbortSignal,
): Promise<void> {
  const name = overrideName(override.target);
  const text = encodeOverride(override);
  await (text === undefined ? notes.remove(name, signal) : notes.put(name, text, signal));
}
