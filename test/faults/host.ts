// A host whose records are kept as a registrator keeps them: beaten, and read and written where something may differ.
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../src/backends/backend.ts";
import { type Instance, refKey, sameInstance } from "../../src/instance.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";

/** A host that lives as long as nobody stops it. */
export interface Host {
  /** What is to stand there. */
  readonly wanted: ReadonlyMap<string, Instance>;
  /** Wants one more instance of a service. */
  add(service: string): void;
  /** Why its last pass came to nothing. */
  trouble(): unknown;
  stop(): Promise<void>;
}

/** ms between two passes, well below a third of any time to live. */
const rest = 200;

/** Keeps a host's records in a backend until `stop`, whatever goes wrong. */
export function keepHost(backend: Backend, ttl: number): Host {
  const owner = someOwner();
  const lease = backend.lease(owner, ttl);
  const ending = new AbortController();
  const wanted = new Map<string, Instance>();
  /** Whether what stands there may differ from what is wanted. */
  let differs = true;
  let trouble: unknown;

  const pass = async () => {
    const { fresh } = await lease.renew(ending.signal);
    if (!fresh && !differs) return;
    differs = true;
    const now = [...wanted];
    const found = new Map((await lease.owned(ending.signal)).map((one) => [refKey(one), one]));
    for (const [key, instance] of now) {
      const there = found.get(key);
      if (!there || !sameInstance(there, instance)) await lease.register(instance, ending.signal);
    }
    differs = wanted.size > now.length;
  };
  const running = (async () => {
    while (!ending.signal.aborted) {
      trouble = await pass().catch((error: unknown) => error);
      await sleep(rest, undefined, { signal: ending.signal }).catch(() => {});
    }
  })();

  return {
    wanted,
    add(service) {
      const id = `${owner.node}:${wanted.size}`;
      const instance = someInstance(owner, { service, id, port: 1_000 + wanted.size });
      wanted.set(refKey(instance), instance);
      differs = true;
    },
    trouble: () => trouble,
    async stop() {
      ending.abort();
      await running;
    },
  };
}
