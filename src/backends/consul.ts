import { readFileSync } from "node:fs";
import { PortolanError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { createConsulApi, type Timing } from "./consul-api.ts";
import { createConsulLease } from "./consul-lease.ts";
import { createObserver } from "./consul-observe.ts";
import type { BackendUrl } from "./url.ts";

/** Half a minute bounds how long a connection that died silently goes unnoticed. */
const usual: Timing = { wait: 30_000, patience: 5_000 };

/** Parameters of a backend URL that this backend follows. */
const followed = new Set(["token-file", "dc", "stale", "layout"]);

/**
 * `consul://[host:8500]` keeps records as services of the local agent, and reads the whole catalog. `timing`
 * is for tests. Rejects with BACKEND_URL for a URL it cannot use; asks Consul nothing by itself.
 */
export async function openConsul(
  url: BackendUrl,
  options: BackendOptions,
  timing: Timing = usual,
): Promise<Backend> {
  const { title, query } = url;
  const bad = (why: string) => new PortolanError("BACKEND_URL", `backend "${title}": ${why}`);
  if (url.hosts.length > 1) throw bad("write one host, the Consul agent of this machine");
  if (url.path !== "") throw bad(`"${url.path}" has no meaning here; write consul://127.0.0.1:8500`);
  for (const name of query.keys())
    if (!followed.has(name)) throw bad(`"${name}" is not available yet for Consul`);
  const layout = query.get("layout") ?? "portolan";
  if (layout !== "portolan") throw bad(`layout "${layout}" is not available yet for Consul`);

  const [{ host, port } = { host: "127.0.0.1", port: undefined }] = url.hosts;
  const tokenFile = query.get("token-file");
  const api = createConsulApi(
    {
      host,
      port: port ?? 8500,
      title,
      token: tokenFile === undefined ? options.env.CONSUL_HTTP_TOKEN : readToken(tokenFile, bad),
      dc: query.get("dc"),
      stale: query.has("stale"),
    },
    timing,
  );
  const observer = createObserver(api);
  return {
    title,
    capabilities: { expiry: "check", checks: true },
    observe: observer.observe,
    lease: (owner, ttl) => createConsulLease(api, owner, ttl),
    async close() {
      observer.close();
      api.close();
    },
  };
}

function readToken(file: string, bad: (why: string) => Error): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw bad(`the token file cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
