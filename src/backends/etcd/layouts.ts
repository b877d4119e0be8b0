import { chooseLayout, type Layout, type Layouts, refused } from "../layouts/layout.ts";
import { portolanLayout } from "../layouts/portolan.ts";
import { registratorLayout } from "../layouts/registrator.ts";
import { skydnsLayout } from "../layouts/skydns.ts";
import type { BackendUrl } from "../url.ts";

/**
 * Where etcd's keys lie. In the foreign layouts Portolan's own keys do not begin with a slash: whoever reads
 * everything below any path does not see them.
 */
const layouts: Layouts = {
  portolan: (url) => portolanLayout(url.path === "" ? "/portolan" : url.path),
  registrator: (url) => registratorLayout(url.path, `portolan/registrator${url.path}`),
  skydns(url) {
    const domain = url.path.slice(1);
    if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(domain)) {
      throw refused(url, "layout skydns needs the domain as path, e.g. etcd://127.0.0.1:2379/skydns.local");
    }
    return skydnsLayout(domain.toLowerCase(), `portolan/skydns/${domain.toLowerCase()}`);
  },
};

/** Where the keys of an etcd URL lie; `usual` is the layout of one that names none. Throws BACKEND_URL. */
export function etcdLayout(url: BackendUrl, usual = "portolan"): Layout {
  return chooseLayout(url, layouts, usual);
}
