import { encodeSegment } from "../../instance.ts";
import { type Backend, type BackendOptions, ownerText } from "../backend.ts";
import { consulAddress } from "../consul/address.ts";
import { createConsulApi, type Timing } from "../consul/api.ts";
import { createConsulKv } from "../consul/kv.ts";
import { createConsulLock } from "../consul/lock.ts";
import { createConsulNotes } from "../consul/notes.ts";
import { createRetries } from "../consul/retries.ts";
import { listedBy } from "../layouts/claim.ts";
import { createListedLease } from "../layouts/listed-lease.ts";
import type { BackendUrl } from "../url.ts";
import { assertMayRead, readKeys } from "./keys.ts";
import { createConsulkvListed } from "./listed.ts";
import { consulkvPlace } from "./place.ts";
import { createConsulkvWatch } from "./watch.ts";

/** Half a minute bounds how long a connection that died silently goes unnoticed. */
const usual: Timing = { wait: 30_000, patience: 5_000 };

/**
 * `consulkv://host:8500/prefix`: the keys `<prefix>/<service>/<id>` of Consul's KV store hold `ip:port`, and the
 * host's session holds them together with `portolan/nodes/<node>`. Also `consulkv+tls://` and, as registrator
 * writes it, `consulkv-unix:///path/to/socket:/prefix`. `timing` is for tests.
 */
export async function openConsulkv(
  url: BackendUrl,
  options: BackendOptions,
  timing: Timing = usual,
): Promise<Backend> {
  const { agent, layout } = consulkvPlace(url);
  const api = createConsulApi(consulAddress(agent, options), timing);
  const retries = createRetries();
  const watch = createConsulkvWatch(api, layout, retries, timing.grace);
  const kv = createConsulKv(api, retries);
  /** The claims of all nodes; none is believed to be there only if the token may read them. */
  const claims = async (signal: AbortSignal) => {
    const place = `${layout.root}/nodes/`;
    const keys = await readKeys(api, place, signal);
    if (keys.length === 0) await assertMayRead(api, place, signal);
    return keys;
  };
  return {
    title: url.title,
    capabilities: { expiry: "session", checks: false },
    observe: watch.observe,
    lease: (owner, ttl, lease) =>
      createListedLease(
        url.title,
        createConsulkvListed(api, layout, owner, ttl, lease?.inherits),
        layout,
        owner,
        lease,
      ),
    async living(nodes, signal) {
      const claimed = new Set((await claims(signal)).map(({ key }) => key));
      return new Set([...nodes].filter((node) => claimed.has(`${layout.root}/nodes/${encodeSegment(node)}`)));
    },
    listed: async (owner, signal) => listedBy(ownerText(owner), await claims(signal)),
    kv,
    lock: (name, contender, ttl) => createConsulLock(api, retries, { name, contender, ttl }),
    notes: (area) => createConsulNotes(api, kv, area),
    async close() {
      watch.close();
      api.close();
    },
  };
}
