import { type FSWatcher, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { countMessages, type Messages } from "./messages.ts";
import type { Subject } from "./options.ts";
import type { StartedStore } from "./start-store.ts";

/** A store that counts what it is asked. */
export interface CountedStore {
  /** As the product takes it. */
  readonly url: string;
  /** Calls since the last `forget`: beats and reads too. In a folder: files that appeared, changed or went. */
  calls(): number;
  /**
   * Messages from the store since then, answers and what a watch tells: of Consul one for each call, because it tells
   * nothing unasked. In a folder: none.
   */
  told(): number;
  /** Bytes both ways since then. In a folder: none. */
  bytes(): number;
  forget(): void;
  stop(): Promise<void>;
}

/** Stands between a store, at this place in it, and who asks it. */
export async function countStore(
  name: Exclude<Subject, "memory">,
  store: StartedStore,
  place: string,
): Promise<CountedStore> {
  const url = new URL(store.url(place));
  if (name === "file") return countFolder(url);
  const upstream = { host: url.hostname, port: Number(url.port) };
  const protocol = { consul: "http", etcd: "http2", zookeeper: "zookeeper" } as const;
  let told = 0;
  const connections = new Map<number, Messages>();
  const proxy = await startFaultProxy({
    upstream,
    protocol: protocol[name],
    onChunk(direction, chunk, connection) {
      if (direction === "toServer" || name === "consul") return;
      const messages = connections.get(connection) ?? countMessages(protocol[name], () => (told += 1));
      connections.set(connection, messages);
      messages(chunk);
    },
  });
  url.port = String(proxy.port);
  const calls = () => count[name](proxy.counts());
  return {
    url: url.href.replace(/\/$/, ""),
    calls,
    told: () => (name === "consul" ? calls() : told),
    bytes: () => proxy.counts().bytesToServer + proxy.counts().bytesToClient,
    forget() {
      told = 0;
      proxy.resetCounts();
    },
    stop: proxy.stop,
  };
}

type Counts = ReturnType<FaultProxy["counts"]>;

const count: Readonly<Record<"consul" | "etcd" | "zookeeper", (counts: Counts) => number>> = {
  consul: ({ requests }) => requests.length,
  // One HEADERS frame opens each call; the floor beats on a stream that is open, which does not show.
  etcd: ({ frames }) => frames.HEADERS ?? 0,
  zookeeper: ({ frames }) => Object.values(frames).reduce((sum, number) => sum + number, 0),
};

async function countFolder(url: URL): Promise<CountedStore> {
  await mkdir(url.pathname, { recursive: true });
  let changes = 0;
  // A record is written beside its place under a dot name, and renamed into it; the beat is written in place.
  const watcher: FSWatcher = watch(url.pathname, { recursive: true }, (event, name) => {
    const isRecord = event === "rename" && /^services\/[^/]+\/[^./][^/]*$/.test(String(name));
    if (isRecord || /^nodes\/[^./][^/]*$/.test(String(name))) changes += 1;
  });
  return {
    url: url.href,
    calls: () => changes,
    told: () => 0,
    bytes: () => 0,
    forget: () => {
      changes = 0;
    },
    stop: async () => watcher.close(),
  };
}
