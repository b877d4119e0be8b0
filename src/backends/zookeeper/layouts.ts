import { curatorLayout } from "../layouts/curator.ts";
import { chooseLayout, type Layout, type Layouts, refused } from "../layouts/layout.ts";
import { portolanLayout } from "../layouts/portolan.ts";
import { registratorNodeLayout } from "../layouts/registrator.ts";
import type { BackendUrl } from "../url.ts";

/**
 * Where ZooKeeper's nodes lie. In the foreign layouts each child of the chroot is a service, so that Portolan's
 * own nodes stand elsewhere.
 */
const layouts: Layouts = {
  portolan: (url) => portolanLayout(url.path),
  curator: foreign("curator", curatorLayout),
  registrator: foreign("registrator", registratorNodeLayout),
};

function foreign(name: string, make: (services: string, root: string) => Layout): Layouts[string] {
  return (url) => {
    if (url.path === "" || /^\/(portolan|zookeeper)$/.test(url.path)) {
      throw refused(url, `layout ${name} needs a path of its own, e.g. zookeeper://127.0.0.1:2181/services`);
    }
    return make(url.path, `/portolan/${name}${url.path}`);
  };
}

/** Where the nodes of a ZooKeeper URL lie; `usual` is the layout of one that names none. Throws BACKEND_URL. */
export function zookeeperLayout(url: BackendUrl, usual = "portolan"): Layout {
  if (/\/\.{0,2}(\/|$)/.test(url.path)) throw refused(url, `"${url.path}" is not a path of ZooKeeper nodes`);
  return chooseLayout(url, layouts, usual);
}
