import { readFile } from "node:fs/promises";
import { consulkvPlace } from "../backends/consulkv/place.ts";
import { etcdLayout } from "../backends/etcd/layouts.ts";
import { type BackendUrl, parseBackendUrl } from "../backends/url.ts";
import { zookeeperLayout } from "../backends/zookeeper/layouts.ts";
import type { Settings } from "../config/settings.ts";
import { coded, PortolanError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { consulRights } from "./acl-consul.ts";
import { etcdRights } from "./acl-etcd.ts";
import { type Grant, type Role, roles } from "./acl-role.ts";
import { type Writer, zookeeperRights } from "./acl-zookeeper.ts";
import type { Context } from "./context.ts";

/** The stores that know rights. */
const stores = ["consul", "etcd", "zookeeper"] as const;
type Store = (typeof stores)[number];

/** Where a store is meant to be when no backend is given. */
const usual: Readonly<Record<Store, string>> = {
  consul: "consul://127.0.0.1:8500",
  etcd: "etcd://127.0.0.1:2379/portolan",
  zookeeper: "zookeeper://127.0.0.1:2181/portolan",
};

/** `portolan acl`: the least rights that registrators, templaters and operators need. Asks no backend. */
export async function runAcl({ settings, print }: Context): Promise<number> {
  const { store, role } = wordsOf(settings.names);
  const urls = urlsOf(store, settings);
  const texts: string[] = [];
  for (const url of urls) texts.push(await rightsAt(url, role, settings));
  print(texts.join("\n"));
  return 0;
}

/** The words on the command line, told apart. Throws USAGE. */
function wordsOf(names: readonly string[]): {
  readonly store: Store | undefined;
  readonly role: Role | undefined;
} {
  const store = stores.find((one) => names.includes(one));
  const role = roles.find((one) => names.includes(one));
  const strange = names.find((name) => name !== store && name !== role);
  if (strange === undefined) return { store, role };
  const known = [...stores, ...roles];
  throw usage(`"${strange}" is not one of ${known.join(", ")}; the nearest is ${nearest(strange, known)}`);
}

/** The backends of the store that were given; where there is none, the store at its usual place. Throws USAGE. */
function urlsOf(store: Store | undefined, { values, origins }: Settings): readonly BackendUrl[] {
  const given = values.backend.map(parseBackendUrl);
  const found = given.filter((url) => store === undefined || storeOf(url) === store);
  if (found.length > 0) return found;
  const [other] = given;
  if (store !== undefined && other !== undefined && origins.backend === "flag") {
    throw usage(`${other.title} is not of ${store}`);
  }
  if (store === undefined) throw usage(`name a store or a backend: acl ${stores.join("|")}, or its URL`);
  return [parseBackendUrl(usual[store])];
}

const storeOf = ({ scheme }: BackendUrl) => stores.find((store) => scheme.startsWith(store));

async function rightsAt(url: BackendUrl, role: Role | undefined, { values }: Settings): Promise<string> {
  const grant: Grant = { title: url.title, roles: role === undefined ? roles : [role], node: values.node };
  if (url.scheme.startsWith("consulkv")) return consulRights(grant, consulkvPlace(url).layout);
  switch (storeOf(url)) {
    case "consul":
      return consulRights(grant);
    case "etcd":
      return etcdRights(grant, etcdLayout(url, values.compat));
    case "zookeeper":
      if (role === "operator") {
        throw usage("operators have the user of the registrators in ZooKeeper: say registrator");
      }
      return zookeeperRights(grant, zookeeperLayout(url, values.compat), await writer(url));
    default:
      throw usage(
        `${url.title} has no rights to be given: what may be done there is for the folder's owner and mode`,
      );
  }
}

/** Who writes to ZooKeeper, as the URL says. */
async function writer({ query, title }: BackendUrl): Promise<Writer> {
  const file = query.get("password-file");
  const password =
    file === undefined
      ? undefined
      : await readFile(file, "utf8").catch((error: unknown) => {
          throw coded("BACKEND_URL", error, `backend "${title}": password-file: `);
        });
  return { user: query.get("user") ?? "portolan", password: password?.replace(/\r?\n$/, "") };
}

const usage = (text: string) => new PortolanError("USAGE", text);
