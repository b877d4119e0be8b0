import type { Backend } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import type { Env } from "../config/settings.ts";

/** The open backends of a process by URL: a daemon that is started anew finds its connections again. */
export interface BackendPool {
  /** Opens what is not open yet. Rejects with BACKEND_URL for a URL that cannot be used. */
  open(urls: readonly string[]): Promise<readonly Backend[]>;
  /** Closes all others. */
  keepOnly(backends: readonly Backend[]): Promise<void>;
  close(): Promise<void>;
}

/** An empty pool. */
export function createBackendPool(env: Env): BackendPool {
  const opened = new Map<string, Backend>();
  const keepOnly = async (backends: readonly Backend[]) => {
    for (const [url, backend] of opened) {
      if (backends.includes(backend)) continue;
      opened.delete(url);
      await backend.close();
    }
  };
  return {
    async open(urls) {
      const backends: Backend[] = [];
      for (const url of new Set(urls)) {
        const backend = opened.get(url) ?? (await openBackend(url, { env }));
        opened.set(url, backend);
        backends.push(backend);
      }
      return backends;
    },
    keepOnly,
    close: () => keepOnly([]),
  };
}
