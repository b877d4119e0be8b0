import type { Backend } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import type { Env } from "../config/settings.ts";

/** The open backends of a process by URL and layout: a daemon that is started anew finds its connections again. */
export interface BackendPool {
  /**
   * Opens what is not open yet, with this layout where the URL names none. Rejects with BACKEND_URL for a URL
   * that cannot be used. `anew`: opens all of them, whose certificates have changed.
   */
  open(urls: readonly string[], layout?: string, anew?: boolean): Promise<readonly Backend[]>;
  /** Closes all others. */
  keepOnly(backends: readonly Backend[]): Promise<void>;
  close(): Promise<void>;
}

/** An empty pool. */
export function createBackendPool(env: Env): BackendPool {
  const opened = new Map<Backend, string>();
  const keepOnly = async (backends: readonly Backend[]) => {
    for (const backend of opened.keys()) {
      if (backends.includes(backend)) continue;
      opened.delete(backend);
      await backend.close();
    }
  };
  const find = (key: string) => [...opened].findLast(([, one]) => one === key)?.[0];
  return {
    async open(urls, layout, anew = false) {
      const backends: Backend[] = [];
      for (const url of new Set(urls)) {
        const key = JSON.stringify([url, layout]);
        const options = { env, ...(layout !== undefined && { layout }) };
        const backend = (anew ? undefined : find(key)) ?? (await openBackend(url, options));
        opened.set(backend, key);
        backends.push(backend);
      }
      return backends;
    },
    keepOnly,
    close: () => keepOnly([]),
  };
}
