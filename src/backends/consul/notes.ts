import type { HeldNote, Kv, NoteArea, Notes } from "../backend.ts";
import { putKey, readKeys, removeKey } from "../consulkv/keys.ts";
import { createNotes } from "../notes.ts";
import type { ConsulApi } from "./api.ts";
import { createConsulSession, sessionTtl } from "./session.ts";

/** The keys `portolan/<area>/<name>`. */
export function createConsulNotes(api: ConsulApi, kv: Kv, area: NoteArea): Notes {
  return createNotes(kv, {
    path: `portolan/${area}`,
    hold: (key, ttl) => holdKey(api, key, ttl),
    async exchange(key, before, after, signal) {
      const there = (await readKeys(api, key, signal)).find((entry) => entry.key === key);
      if (there?.text !== before) return false;
      if (!there && after === undefined) return true;
      const change =
        there && after === undefined ? removeKey(key, there) : putKey(key, after ?? "", there, undefined);
      return (await api.transaction(change, signal)) !== undefined;
    },
  });
}

/**
 * A note that hangs on a session of its own. Whoever wrote it last has it: the end of another session leaves it.
 * Consul ends a session when it was silent for between one and two times its time to live; so half of what was
 * asked for is given to it, where that is enough.
 */
function holdKey(api: ConsulApi, key: string, ttl: number): HeldNote {
  const granted = sessionTtl(ttl / 2);
  const session = createConsulSession(api, `portolan note ${key}`, granted);
  /** The session that `renew` has told of. */
  let told: string | undefined;

  return {
    async renew(text, signal) {
      for (;;) {
        const id = await session.take(signal);
        const there = (await readKeys(api, key, signal)).find((entry) => entry.key === key);
        const stands = there?.session === id && there.text === text;
        if (!stands && (await api.transaction(putKey(key, text, there, id), signal)) === undefined) continue;
        const fresh = told !== id;
        told = id;
        return { ttl: granted, fresh };
      }
    },

    release: session.end,
  };
}
