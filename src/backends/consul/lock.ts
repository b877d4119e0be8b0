import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import type { Lock, Tenure } from "../backend.ts";
import { assertMayRead, entriesOf, putKey, removeKey } from "../consulkv/keys.ts";
import { createSuccession } from "../succession.ts";
import type { ConsulApi } from "./api.ts";
import { watchQuery } from "./query.ts";
import type { Retries } from "./retries.ts";
import { createConsulSession, sessionTtl } from "./session.ts";

/**
 * The key `portolan/locks/<name>`, which a session of its holder holds and takes with it, and which holds its name.
 * Whoever creates it, where it is absent or in the place of the holding of the same contender's earlier process, has the
 * lock; the token is the index at which it was created. Consul ends a session that is
 * silent after one to two times its time to live.
 */
export function createConsulLock(
  api: ConsulApi,
  retries: Retries,
  { name, contender, ttl }: { readonly name: string; readonly contender: string; readonly ttl: number },
): Lock {
  const key = `portolan/locks/${encodeSegment(name)}`;
  const granted = sessionTtl(ttl);
  /** It may hold the lock, or wait for its next try. */
  const session = createConsulSession(api, `portolan lock ${name}`, granted);

  const succession = createSuccession(contender);

  const holderIn = (body: unknown) => entriesOf(body).find((entry) => entry.key === key);

  const contend = async (signal: AbortSignal): Promise<Tenure> => {
    await session.beat(signal);
    for (;;) {
      const { body } = await api.tree(key, { index: 0, consistent: true }, signal);
      const holder = holderIn(body);
      if (holder && holder.session !== undefined && holder.session === session.current()) {
        return { held: true, token: String(createdIn(body, key)), ttl: granted };
      }
      if (holder && !succession.takesFrom(holder.text)) return { held: false, holder: holder.text };
      // Created anew, because its creation makes the token.
      const removed = holder ? removeKey(key, holder) : [];
      succession.takes(holder && String(createdIn(body, key)));
      const created = putKey(key, contender, undefined, await session.take(signal));
      await api.transaction([...removed, ...created], signal);
    }
  };

  return {
    renew: async (signal) => succession.answer(await contend(signal)),

    watch: () =>
      watchQuery<string | undefined>(
        {
          async ask(question, signal) {
            const answer = await api.tree(key, question, signal);
            if (answer.body === undefined) await assertMayRead(api, key, signal);
            return answer;
          },
          read: ({ body }) => holderIn(body)?.text,
          isLess: () => false,
        },
        retries,
      ),

    release: session.end,
  };
}

/** The index at which a key was created; a later one is greater. */
function createdIn(body: unknown, key: string): number {
  const entries = Array.isArray(body) ? (body as readonly Readonly<Record<string, unknown>>[]) : [];
  const created = entries.find(({ Key }) => Key === key)?.CreateIndex;
  if (typeof created === "number") return created;
  throw new PortolanError(
    "BACKEND_UNREACHABLE",
    `Consul does not say when ${key} was created; is it Consul?`,
  );
}
