import type { ConsulApi } from "./api.ts";

/** Seconds; Consul takes no shorter time to live of a session, and no longer one. */
const shortest = 10;
const longest = 86_400;

/** The time to live of a session in seconds that is nearest to what is asked for. */
export function sessionTtl(seconds: number): number {
  return Math.min(longest, Math.max(shortest, Math.ceil(seconds)));
}

/** One session at a time, which takes its keys with it when it ends. None is begun before it is needed. */
export interface ConsulSession {
  /** Ours until Consul says that it is over. */
  current(): string | undefined;
  /** Beats once where there is one. */
  beat(signal: AbortSignal): Promise<void>;
  /** Beats once, or begins one. */
  take(signal: AbortSignal): Promise<string>;
  end(signal: AbortSignal): Promise<void>;
}

/** No session yet. `ttl` in seconds, as `sessionTtl` answers it. */
export function createConsulSession(api: ConsulApi, name: string, ttl: number): ConsulSession {
  let current: string | undefined;

  const beat = async (signal: AbortSignal) => {
    if (current !== undefined && !(await api.renewSession(current, signal))) current = undefined;
  };

  return {
    current: () => current,
    beat,
    async take(signal) {
      await beat(signal);
      current ??= await api.beginSession(name, ttl, signal);
      return current;
    },
    async end(signal) {
      if (current !== undefined) await api.endSession(current, signal);
      current = undefined;
    },
  };
}
