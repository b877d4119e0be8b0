import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import type { Lock, Tenure } from "../backend.ts";
import { assertMayRead, entriesOf, putKey } from "../consulkv/keys.ts";
import type { ConsulApi } from "./api.ts";
import { watchQuery } from "./query.ts";
import type { Retries } from "./retries.ts";

/** Seconds; Consul takes no shorter time to live of a session, and no longer one. */
const shortest = 10;
const longest = 86_400;

/**
 * The key `portolan/locks/<name>`, which a session of its holder holds and takes with it, and which holds its name.
 * Whoever creates it has the lock; the token is the index at which it was created. Consul ends a session that is
 * silent after one to two times its time to live.
 */
export function createConsulLock(
  api: ConsulApi,
  retries: Retries,
  { name, contender, ttl }: { readonly name: string; readonly contender: string; readonly ttl: number },
): Lock {
  const key = `portolan/locks/${encodeSegment(name)}`;
  const seconds = Math.min(longest, Math.max(shortest, Math.ceil(ttl)));
  /** Ours until Consul says that it is over; it may hold the lock, or wait for its next try. */
  let session: string | undefined;

  const holderIn = (body: unknown) => entriesOf(body).find((entry) => entry.key === key);

  const begin = async (signal: AbortSignal): Promise<string> => {
    if (session !== undefined && (await api.renewSession(session, signal))) return session;
    const { ID } = (await api.beginSession(`portolan lock ${name}`, seconds, signal)) as {
      readonly ID?: unknown;
    };
    if (typeof ID !== "string") {
      throw new PortolanError("BACKEND_UNREACHABLE", "Consul gave no session; is it Consul?");
    }
    session = ID;
    return ID;
  };

  return {
    async renew(signal): Promise<Tenure> {
      if (session !== undefined && !(await api.renewSession(session, signal))) session = undefined;
      for (;;) {
        const { body } = await api.tree(key, { index: 0, consistent: true }, signal);
        const holder = holderIn(body);
        if (holder && holder.session !== undefined && holder.session === session) {
          return { held: true, token: String(createdIn(body, key)), ttl: seconds };
        }
        if (holder) return { held: false, holder: holder.text };
        await api.transaction(putKey(key, contender, undefined, await begin(signal)), signal);
      }
    },

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

    async release(signal) {
      if (session === undefined) return;
      await api.endSession(session, signal);
      session = undefined;
    },
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
