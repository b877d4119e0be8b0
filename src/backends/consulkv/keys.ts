import { PortolanError } from "../../errors.ts";
import type { ConsulApi, Question } from "../consul/api.ts";
import { aclRule, needs } from "../consul/rights.ts";

/** A key as read. */
export interface KvEntry {
  readonly key: string;
  readonly text: string;
  /** Of its last change. */
  readonly index: number;
  /** The session that holds it. */
  readonly session: string | undefined;
}

/** What Consul answers of a key; anything else is left out. */
export function entriesOf(body: unknown): readonly KvEntry[] {
  if (!Array.isArray(body)) return [];
  return body.flatMap((item: unknown) => {
    const { Key, Value, ModifyIndex, Session } = item as Record<string, unknown>;
    if (typeof Key !== "string" || typeof ModifyIndex !== "number") return [];
    return [
      {
        key: Key,
        text: typeof Value === "string" ? Value : "",
        index: ModifyIndex,
        session: typeof Session === "string" && Session !== "" ? Session : undefined,
      },
    ];
  });
}

/** The keys below a prefix as the leader has them now. */
export async function readKeys(
  api: ConsulApi,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly KvEntry[]> {
  const now: Question = { index: 0, consistent: true };
  return entriesOf((await api.tree(prefix, now, signal)).body);
}

/** Rejects with BACKEND_DENIED when nothing is seen below a prefix because the token may not see it. */
export async function assertMayRead(api: ConsulApi, prefix: string, signal: AbortSignal): Promise<void> {
  const right = { Resource: "key", Access: "read", Segment: prefix } as const;
  if ((await api.may([right], signal)) !== false) return;
  const message = `the token may not read Consul's keys below ${prefix}`;
  throw new PortolanError("BACKEND_DENIED", `${message}: ${needs(aclRule("key_prefix", prefix, "read"))}`);
}

/** An operation on a key in a transaction. */
export interface KvOperation {
  readonly KV: {
    readonly Verb: "check-index" | "check-not-exists" | "lock" | "unlock" | "set" | "delete-cas";
    readonly Key: string;
    readonly Value?: string;
    readonly Index?: number;
    readonly Session?: string;
  };
}

/** Of one key at most: see `putKey`. */
export const operationsOfKey = 3;

/** Puts a key that is as it was found, or absent, under a session or, without one, for ever. */
export function putKey(
  key: string,
  text: string,
  found: Pick<KvEntry, "index" | "session"> | undefined,
  session: string | undefined,
): readonly KvOperation[] {
  const value = { Key: key, Value: Buffer.from(text).toString("base64") };
  const before = found?.session;
  return [
    {
      KV: found
        ? { Verb: "check-index", Key: key, Index: found.index }
        : { Verb: "check-not-exists", Key: key },
    },
    ...(before !== undefined && before !== session
      ? [{ KV: { Verb: "unlock" as const, ...value, Session: before } }]
      : []),
    { KV: session === undefined ? { Verb: "set", ...value } : { Verb: "lock", ...value, Session: session } },
  ];
}

/** Removes a key that is as it was found. */
export function removeKey(key: string, found: Pick<KvEntry, "index">): readonly KvOperation[] {
  return [{ KV: { Verb: "delete-cas", Key: key, Index: found.index } }];
}

/**
 * The index of each key that a transaction touched and left, by what it answered last of it. It is not the same
 * for all: Consul leaves the index of a key that is written as it is.
 */
export function indexesOf(answer: unknown): ReadonlyMap<string, number> {
  const { Results } = answer as { readonly Results?: unknown };
  const entries = Array.isArray(Results) ? Results.map(({ KV }: { readonly KV?: unknown }) => KV ?? {}) : [];
  return new Map(entriesOf(entries).map(({ key, index }) => [key, index]));
}
