import type { EtcdClient } from "./client.ts";

/** The lease that a lock or a held note has for itself. None is granted before it is needed. */
export interface OwnLease {
  /** Ours until etcd says that it is over. */
  current(): string | undefined;
  /** Beats once; the seconds that it has from now on, 0 where there is none. */
  beat(signal: AbortSignal): Promise<number>;
  /** Beats once, or takes one. It stays the same over calls that fail. */
  take(signal: AbortSignal): Promise<{ readonly id: string; readonly ttl: number }>;
  /** Revokes it, and with it what hangs on it. */
  end(signal: AbortSignal): Promise<void>;
}

/** No lease yet; `ttl` in seconds. */
export function createOwnLease(client: EtcdClient, ttl: number): OwnLease {
  let current: string | undefined;

  const beat = async (signal: AbortSignal) => {
    if (current === undefined) return 0;
    const seconds = await client.keepAlive(current, signal);
    if (seconds === 0) current = undefined;
    return seconds;
  };

  return {
    current: () => current,
    beat,
    async take(signal) {
      const seconds = await beat(signal);
      if (current !== undefined) return { id: current, ttl: seconds };
      const granted = await client.grant(ttl, signal);
      current = granted.id;
      return granted;
    },
    async end(signal) {
      if (current !== undefined) await client.revoke(current, signal);
      current = undefined;
    },
  };
}
