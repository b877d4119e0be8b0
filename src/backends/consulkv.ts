import type { Backend, BackendOptions } from "./backend.ts";
import { consulAddress } from "./consul-address.ts";
import { createConsulApi, type Timing } from "./consul-api.ts";
import { createConsulkvListed } from "./consulkv-listed.ts";
import { createConsulkvWatch } from "./consulkv-watch.ts";
import { chooseLayout, type Layouts, type ListedLayout, refused } from "./layouts/layout.ts";
import { createListedLease } from "./layouts/listed-lease.ts";
import { registratorLayout } from "./layouts/registrator.ts";
import type { BackendUrl } from "./url.ts";

/** Half a minute bounds how long a connection that died silently goes unnoticed. */
const usual: Timing = { wait: 30_000, patience: 5_000 };

/** Consul's keys do not begin with a slash. */
const layouts: Layouts<ListedLayout> = {
  registrator(url) {
    const prefix = url.path.slice(1);
    if (prefix === "" || prefix === "portolan" || prefix.startsWith("portolan/")) {
      throw refused(url, "a prefix of its own is needed, e.g. consulkv://127.0.0.1:8500/services");
    }
    return registratorLayout(prefix, "portolan");
  },
};

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
  const { agent, keys } = split(url);
  const layout = chooseLayout(keys, layouts, "registrator");
  const api = createConsulApi(consulAddress(agent, options), timing);
  const watch = createConsulkvWatch(api, layout);
  return {
    title: url.title,
    capabilities: { expiry: "session", checks: false },
    observe: watch.observe,
    lease: (owner, ttl, lease) =>
      createListedLease(createConsulkvListed(api, layout, owner, ttl), layout, owner, lease),
    async close() {
      watch.close();
      api.close();
    },
  };
}

/** The agent's URL, and the one whose path is the prefix of the keys. */
function split(url: BackendUrl): { readonly agent: BackendUrl; readonly keys: BackendUrl } {
  const scheme = url.scheme.replace("consulkv", "consul");
  if (!scheme.endsWith("unix")) return { agent: { ...url, scheme, path: "" }, keys: url };
  const [, socket, prefix] = /^(.*?):(\/.*)$/.exec(url.path) ?? [];
  if (!socket || !prefix)
    throw refused(url, `write the socket and the prefix: ${url.scheme}:///run/consul.sock:/services`);
  return { agent: { ...url, scheme, path: socket }, keys: { ...url, path: prefix } };
}
