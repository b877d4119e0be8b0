import { PortolanError } from "../../errors.ts";
import type { Source } from "../../source.ts";
import type { Kv } from "../backend.ts";
import { assertMayRead, entriesOf, type KvEntry } from "../consulkv/keys.ts";
import { observeKeys } from "../key-observation.ts";
import { directlyBelow, inKeyOrder, shareTree, trimmed } from "../key-paths.ts";
import type { Answer, ConsulApi, Question } from "./api.ts";
import { type Query, watchQuery } from "./query.ts";
import type { Retries } from "./retries.ts";

/** Of a call that waits for nothing: as the leader has it now. */
const now: Question = { index: 0, consistent: true };

/** Consul's KV store. Its keys do not begin with a slash: `a/b` and `/a/b` are one key. */
export function createConsulKv(api: ConsulApi, retries: Retries): Kv {
  const keyOf = (key: string) => trimmed(key).replace(/^\/+/, "");
  const below = (path: string) => (keyOf(path) === "" ? "" : `${keyOf(path)}/`);

  /** Consul hides keys from a token that may not read them: nothing is believed to be there only if it may. */
  const ask = async (place: string, question: Question, signal: AbortSignal): Promise<Answer> => {
    const answer = await api.tree(place, question, signal);
    if (answer.body === undefined) await assertMayRead(api, place, signal);
    return answer;
  };
  const read = async (place: string, signal: AbortSignal): Promise<readonly KvEntry[]> =>
    entriesOf((await ask(place, now, signal)).body);

  const valueIn = (key: string, entries: readonly KvEntry[]) =>
    entries.find((entry) => entry.key === keyOf(key))?.text;
  // The key of the path itself, with its slash, is what Consul's own interface makes of a folder.
  const treeIn = (path: string, entries: readonly KvEntry[]) =>
    inKeyOrder(
      entries
        .filter(({ key }) => !key.endsWith("/"))
        .map(({ key, text }) => [key.slice(below(path).length), text]),
    );
  const tree = async (path: string, signal: AbortSignal) => treeIn(path, await read(below(path), signal));

  /** An operation that always holds: where it does not, it was refused. */
  const write = async (
    operation: { readonly Key: string } & Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) => {
    if ((await api.transaction([{ KV: operation }], signal)) !== undefined) return;
    throw new PortolanError("BACKEND_DENIED", `Consul refused to write the key ${operation.Key}`);
  };

  const sourceOf = <T>(place: string, say: Omit<Query<T>, "ask">): Source<T> =>
    watchQuery<T>({ ask: (question, signal) => ask(place, question, signal), ...say }, retries);

  return {
    get: async (key, signal) => valueIn(key, await read(keyOf(key), signal)),
    list: async (path, signal) => directlyBelow(await tree(path, signal)),
    tree,
    watch: (wants) =>
      observeKeys(
        {
          key: (key) =>
            sourceOf<string | undefined>(keyOf(key), {
              read: ({ body }) => valueIn(key, entriesOf(body)),
              isLess: (value, previous) => value === undefined && previous !== undefined,
            }),
          tree: (path) =>
            sourceOf<ReadonlyMap<string, string>>(below(path), {
              read: ({ body }, previous) => shareTree(previous, treeIn(path, entriesOf(body))),
              isLess: (value, previous) => [...previous.keys()].some((name) => !value.has(name)),
            }),
        },
        wants,
      ),
    async put(key, value, signal) {
      const Value = Buffer.from(value).toString("base64");
      await write({ Verb: "set", Key: keyOf(key), Value }, signal);
    },
    async remove(key, signal) {
      await write({ Verb: "delete", Key: keyOf(key) }, signal);
    },
  };
}
