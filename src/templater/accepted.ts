import type { StateDir } from "../state-dir.ts";

/**
 * What each proxy last accepted, kept over restarts: a reload is owed exactly when the destination's content
 * is not that.
 */
export interface Accepted {
  /**
   * SHA-256 (hex) of the content that was last reloaded with success; undefined when that is not known, and
   * `unsure` when a reload is owed though there is no file, or when there was none before Portolan's own, which nobody
   * has accepted yet.
   */
  get(destination: string): string | undefined;
  /** The destinations of which something is known. */
  destinations(): readonly string[];
  /**
   * Called after a successful reload. Rejects with FAILED when the state folder could not be written; this
   * process then knows it all the same, and only the next one reloads once more.
   */
  set(destination: string, hash: string): Promise<void>;
  /** Makes a reload owed, whatever the destination holds. When it rejects, nothing has changed. */
  forget(destination: string): Promise<void>;
}

/** Nobody knows what the proxy has of a file that Portolan has removed, or made. No hash is equal to it. */
export const unsure = "?";

const name = "accepted.json";

/** Reads the record from the state folder. One that cannot be understood counts as none: all reloads are owed. */
export async function openAccepted(state: Pick<StateDir, "read" | "write">): Promise<Accepted> {
  const hashes = parse((await state.read(name)) ?? "{}");
  let last = Promise.resolve();
  let next: Promise<void> | undefined;

  /** Writes of many targets at once become one, after the one in hand. */
  const save = () => {
    next ??= last
      .catch(() => {})
      .then(() => {
        next = undefined;
        const sorted = [...hashes].sort(([a], [b]) => (a < b ? -1 : 1));
        last = state.write(name, `${JSON.stringify(Object.fromEntries(sorted), undefined, 1)}\n`);
        return last;
      });
    return next;
  };

  return {
    get: (destination) => hashes.get(destination),
    destinations: () => [...hashes.keys()],
    async set(destination, hash) {
      hashes.set(destination, hash);
      await save();
    },
    async forget(destination) {
      const hash = hashes.get(destination);
      if (hash === undefined) return;
      hashes.delete(destination);
      try {
        await save();
      } catch (error) {
        hashes.set(destination, hash);
        throw error;
      }
    },
  };
}

function parse(text: string): Map<string, string> {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
  } catch {
    return new Map();
  }
}
