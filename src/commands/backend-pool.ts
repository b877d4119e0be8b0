import type { Backend } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import type { Env } from "../config/settings.ts";

/** The open backends of a process by URL and layout: a daemon that is started anew finds its connections again. */
export interface BackendPool {
  /**
   * Opens what is not open yet, with this layout where the URL names none. Rejects with BACKEND_URL for a URL
   * that cannot be used.
   */
  open(urls: readonly string[], layout?: string): Promise<readonly Backend[]>;
  /** Closes all others. */
  keepOnly(backends: readonly Backend[]): Promise<void>;
  close(): Promise<void>;
}

/** An empty pool. */
export function createBackendPool(env: Env): BackendPool {
  const opened = new Map<string, Backend>();
  const keepOnly = async (backends: readonly Backend[]) => {
    for (const [key, backend] of opened) {
      if (backends.includes(backend)) continue;
      opened.delete(key);
      await backend.close();
    }
  };
  return {
    async open(urls, layout) {
      const backends: Backend[] = [];
      for (const url of new Set(urls)) {
        const key = JSON.stringify([url, layout]);
        const options = { env, ...(layout !== undefined && { layout }) };
        const backend = opened.get(key) ?? (await openBackend(url, options));
        opened.set(key, backend);
        backends.push(backend);
      }
      return backends;
    },
    keepOnly,
    close: () => keepOnly([]),
  };
}
