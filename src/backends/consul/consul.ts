import { PortolanError } from "../../errors.ts";
import type { Backend, BackendOptions } from "../backend.ts";
import type { BackendUrl } from "../url.ts";
import { consulAddress } from "./address.ts";
import { readEntries } from "./answer.ts";
import { createConsulApi, type Timing } from "./api.ts";
import { createBelief } from "./belief.ts";
import { heartbeatName } from "./body.ts";
import { createConsulKv } from "./kv.ts";
import { claimOf, createConsulLease } from "./lease.ts";
import { createConsulLock } from "./lock.ts";
import { createConsulNotes } from "./notes.ts";
import { createObserver } from "./observe.ts";
import { createRetries } from "./retries.ts";

/** Half a minute bounds how long a connection that died silently goes unnoticed. */
const usual: Timing = { wait: 30_000, patience: 5_000 };

/** Parameters of a backend URL that this backend follows. */
const followed = [
  ...["token-file", "ca", "cert", "key"],
  ...["namespace", "partition", "dc", "stale", "cached", "layout"],
];

/**
 * `consul://[host:8500]` keeps records as services of the local agent, and reads the whole catalog. Also
 * `consul+tls://[host:8501]` and `consul+unix:///path`, or with a hyphen as registrator writes them. `timing`
 * is for tests. Rejects with BACKEND_URL for a URL it cannot use; asks Consul nothing by itself.
 */
export async function openConsul(
  url: BackendUrl,
  options: BackendOptions,
  timing: Timing = usual,
): Promise<Backend> {
  const { title, query } = url;
  const bad = (why: string) => new PortolanError("BACKEND_URL", `backend "${title}": ${why}`);
  for (const name of query.keys()) {
    if (!followed.includes(name)) throw bad(`Consul has no "${name}"; known are ${followed.join(", ")}`);
  }
  const layout = query.get("layout") ?? "portolan";
  if (layout !== "portolan") throw bad(`there is no layout "${layout}" of Consul's services; leave it out`);

  const api = createConsulApi(consulAddress(url, options), timing);
  const observer = createObserver(api, timing.grace);
  const retries = createRetries();
  const kv = createConsulKv(api, retries);
  return {
    title,
    capabilities: { expiry: "check", checks: true },
    observe: observer.observe,
    lease: (owner, ttl, options) => createConsulLease(api, owner, ttl, options),
    async living(nodes, signal) {
      const claims = await Promise.all(
        [...nodes].map(async (node) => {
          const name = heartbeatName(node);
          const believe = createBelief(api, name, (question, over) => api.health(name, question, over));
          const { body } = await believe({ index: 0, consistent: true }, signal);
          return { node, lives: readEntries(name, body).some((entry) => claimOf(entry) !== "none") };
        }),
      );
      return new Set(claims.filter(({ lives }) => lives).map(({ node }) => node));
    },
    kv,
    lock: (name, contender, ttl) => createConsulLock(api, retries, { name, contender, ttl }),
    notes: (area) => createConsulNotes(api, kv, area),
    async close() {
      observer.close();
      api.close();
    },
  };
}
