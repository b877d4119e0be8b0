import type { Draft, Given, Migrated } from "./migrated.ts";
import { type Note, oneLine } from "./note.ts";

/** What a configuration says for all of its targets. */
const common = ["backend", "logLevel", "wait"] as const;

/**
 * Turns one file after the other into one configuration. One that cannot be turned is told; throws the first one's
 * reason, with its place, where none can be.
 */
export function together(all: readonly Given[], turn: (given: Given) => Migrated, tool: string): Migrated {
  let sum: Migrated = { files: [], notes: [] };
  const refused: Error[] = [];
  for (const given of all) {
    try {
      sum = joined(sum, turn({ ...given, made: sum.files }), given.path);
    } catch (error) {
      const { line, message } = error as Error & { readonly line?: number };
      const why = `neither a configuration nor a template of ${tool}: `;
      const place = line === undefined ? given.path : `${given.path}:${line}`;
      refused.push(new Error(`${place}: ${why}${message}`, { cause: error }));
      const at = `${given.path}:${line ?? 1}`;
      const note: Note = { kind: "missing", at, what: "the whole file", why: why + oneLine(message) };
      sum = { ...sum, notes: [...sum.notes, note] };
    }
  }
  if (refused.length === all.length) throw refused[0];
  // Files that share a confd.toml tell the same of it.
  return { ...sum, notes: [...new Map(sum.notes.map((note) => [JSON.stringify(note), note])).values()] };
}

/** What files have been turned into, and the next one, whose files hold theirs. */
function joined(sum: Migrated, next: Migrated, path: string): Migrated {
  if (sum.draft === undefined || next.draft === undefined) {
    const draft = sum.draft ?? next.draft;
    return { ...(draft && { draft }), files: next.files, notes: [...sum.notes, ...next.notes] };
  }
  const entries = [...sum.draft.entries, ...next.draft.entries];
  return {
    draft: { ...next.draft, ...sum.draft, entries },
    files: next.files,
    notes: [...sum.notes, ...next.notes, ...differences(sum.draft, next.draft, path)],
  };
}

/** What the next file says otherwise for all of its targets: that of the first one counts. */
function differences(first: Draft, next: Draft, path: string): readonly Note[] {
  return common.flatMap((key): readonly Note[] => {
    const [before, now] = [JSON.stringify(first[key]), JSON.stringify(next[key])];
    if (before === undefined || now === undefined || before === now) return [];
    const why = `a file before it says ${before}, which counts for all; turn this one by itself, for a templater of its own`;
    return [{ kind: "missing", at: `${path}:1`, what: `${key} ${now}`, why }];
  });
}
