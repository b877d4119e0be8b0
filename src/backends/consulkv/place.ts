import { chooseLayout, type Layouts, type ListedLayout, refused } from "../layouts/layout.ts";
import { registratorLayout } from "../layouts/registrator.ts";
import type { BackendUrl } from "../url.ts";

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

/** The URL of the agent, and where its keys lie. Throws BACKEND_URL. */
export function consulkvPlace(url: BackendUrl): {
  readonly agent: BackendUrl;
  readonly layout: ListedLayout;
} {
  const { agent, keys } = split(url);
  return { agent, layout: chooseLayout(keys, layouts, "registrator") };
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
