import { list, number, object, text, unquoted } from "../../handlebars/helper.ts";
import { compare, type Instance } from "../../instance.ts";
import { shown } from "../escape/admit.ts";
import type { Call, Helper } from "./helper.ts";
import { createKeep, sameItems } from "./kept.ts";
import { isAddress, isHostName } from "./output.ts";
import { portRoutes } from "./port-routes.ts";

/** Servers that answer for the same hosts and paths. */
export interface Pool {
  /** The name of the service, or of the services that share these routes, made unique. */
  readonly name: string;
  /** One of its hosts, for the health check. */
  readonly host: string;
  /** Path of an HTTP check (meta http_check), undefined for a plain connection. */
  readonly check: string | undefined;
  /** The ready instances, by service and id. */
  readonly servers: readonly Instance[];
  /** True when a request can be sent to at least one server: there is one with a weight. */
  readonly usable: boolean;
  /** True when a server is no backup: nginx refuses a pool of backups only. */
  readonly primary: boolean;
  /** True when one of them wants a client's requests to go to the same server (meta http_sticky). */
  readonly sticky: boolean;
  /** True when one of them speaks HTTP/2 without TLS (meta http_proto), and so all should. */
  readonly h2: boolean;
}

/** A host name and where its requests go. */
export interface Site {
  /** In lower case: `www.example.com`, or `*.example.com` for every name below. */
  readonly host: string;
  /** False for `*.example.com`; `suffix` is then `.example.com`. */
  readonly exact: boolean;
  readonly suffix: string;
  /** Path prefixes, the longest first, and the pool that serves each. */
  readonly paths: readonly { readonly path: string; readonly pool: Pool }[];
  /** True when every path of the host is served. */
  readonly whole: boolean;
}

/** The routing table of an HTTP proxy. */
export interface HttpRoutes {
  readonly pools: readonly Pool[];
  /** Exact names first, then wildcards, the longest first: the first that fits is the right one. */
  readonly sites: readonly Site[];
}

interface Route {
  readonly host: string;
  readonly path: string;
  /** The names of the services, as one. */
  readonly services: string;
  /** At least one. */
  readonly members: readonly Instance[];
}

const pathText = /^\/[A-Za-z0-9._~:@+,=/-]{0,254}$/;
const checkText = /^\/[A-Za-z0-9._~:@+,=/?&%-]{0,254}$/;
const slowStart = /^[1-9][0-9]{0,3}s$/;
const mostHosts = 64;

/**
 * The routing table for what the instances of these services say, a list for each: meta http_host (a comma list of
 * hosts, `*.example.com` for all below), http_path (a prefix, `/` when absent), http_check, http_sticky, http_proto,
 * backup.
 *
 * Instances in any state say what is routed, ready ones serve: a service without a ready instance keeps its
 * hosts and gets a pool without servers. An instance that says something impossible is refused. Instances
 * with the same host and path share a pool, whatever their service. Pools and sites in which nothing has changed
 * are the same objects as before.
 */
export function httpRoutes(
  services: readonly (readonly Instance[])[],
  call: Pick<Call, "refuse">,
): HttpRoutes {
  const routes = new Map<string, Route[]>();
  for (const instances of services) {
    const asked = keepAsked(instances, "", () => askedBy(instances));
    for (const [instance, reason] of asked.refused) call.refuse(instance, reason);
    for (const [key, route] of asked.routes) {
      const parts = routes.get(key);
      if (parts) parts.push(route);
      else routes.set(key, [route]);
    }
  }
  const sorted = [...routes.values()]
    .map(joined)
    .sort((a, b) => compare(a.host, b.host) || byLength(a.path, b.path));
  const poolOf = poolsOf(sorted, call);
  return {
    pools: [...new Set(poolOf.values())].sort((a, b) => compare(a.name, b.name)),
    sites: sitesOf(poolOf),
  };
}

/** What one service asks for, by host and path, and who asks for something impossible. */
interface Asked {
  readonly routes: ReadonlyMap<string, Route>;
  readonly refused: readonly (readonly [instance: Instance, reason: string])[];
}

const keepAsked = createKeep<readonly Instance[], Asked>();

function askedBy(instances: readonly Instance[]): Asked {
  const routes = new Map<string, { host: string; path: string; members: Instance[] }>();
  const refused: [Instance, string][] = [];
  // The instances of a service mostly say the same.
  const hosts = new Map<string, readonly string[] | string>();
  const hostsOf = (asked: string) => {
    const found = hosts.get(asked) ?? hostsIn(asked);
    hosts.set(asked, found);
    return found;
  };
  for (const instance of instances) {
    const asked = claims(instance, hostsOf);
    if (typeof asked === "string") {
      refused.push([instance, asked]);
      continue;
    }
    for (const { host, path } of asked) {
      const key = `${host}${path}`;
      const route = routes.get(key);
      if (route) route.members.push(instance);
      else routes.set(key, { host, path, members: [instance] });
    }
  }
  return { routes: new Map([...routes].map(([key, route]) => [key, named(route)])), refused };
}

function named(route: Omit<Route, "services">): Route {
  const services = new Set(route.members.map(({ service }) => service));
  return { ...route, services: [...services].sort(compare).join("_") };
}

/** One route that several services ask for. */
function joined(parts: readonly Route[]): Route {
  const [first, ...others] = parts as readonly [Route, ...Route[]];
  if (others.length === 0) return first;
  return named({ ...first, members: parts.flatMap(({ members }) => members) });
}

/** The hosts and the path that an instance asks for; words when they cannot be had. */
function claims(
  instance: Instance,
  hostsOf: (asked: string) => readonly string[] | string,
): readonly { host: string; path: string }[] | string {
  const { http_host: asked = "", http_path: path = "/", http_check: check } = instance.meta;
  if (instance.protocol !== "tcp") return [];
  const hosts = hostsOf(asked);
  if (typeof hosts === "string") return hosts;
  if (hosts.length === 0) return [];
  if (!pathText.test(path)) return `meta http_path: ${shown(path)} is not a path; write one like /api`;
  if (check !== undefined && !checkText.test(check)) {
    return `meta http_check: ${shown(check)} is not a path; write one like /health`;
  }
  const { http_slow_start: rise, http_proto: proto } = instance.meta;
  if (rise !== undefined && !slowStart.test(rise)) {
    return `meta http_slow_start: ${shown(rise)} is not a time in seconds; write one like 30s`;
  }
  if (proto !== undefined && proto !== "h2") {
    return `meta http_proto: ${shown(proto)} is nothing that servers are spoken to in; write h2, or leave it out for HTTP/1.1`;
  }
  if (!isReachable(instance.address)) {
    return `address ${shown(instance.address)} is not an IP address that a proxy can connect to`;
  }
  return hosts.map((host) => ({ host, path }));
}

/** The names in a list with commas; words when one is not a name. */
function hostsIn(asked: string): readonly string[] | string {
  const names = [...new Set(asked.split(",").map((host) => host.trim().toLowerCase()))].filter(Boolean);
  const wrong = names.find((host) => !isHostName(host.replace(/^\*\./, "")));
  if (wrong !== undefined) {
    return `meta http_host: ${shown(wrong)} is not a host name; write names like www.example.com or *.example.com`;
  }
  return names.length > mostHosts ? `meta http_host has more than ${mostHosts} hosts` : names;
}

/** A name that the proxy cannot resolve would keep it from loading any file, and 0.0.0.0 is the proxy itself. */
function isReachable(address: string): boolean {
  return isAddress(address) && !/^(::ffff:)?[0.]+$|^[0:]+$/i.test(address);
}

/** A pool, and those whose ids occur twice in it. */
interface Filled {
  readonly members: readonly Instance[];
  readonly pool: Pool;
  readonly twice: readonly Instance[];
}

const keepPool = createKeep<Instance, Filled>();

function poolsOf(routes: readonly Route[], call: Pick<Call, "refuse">): ReadonlyMap<Route, Pool> {
  const byFirst = new Map<Instance, Filled[]>();
  const names = new Set<string>();
  const poolOf = new Map<Route, Pool>();
  for (const route of routes) {
    const [first] = route.members as readonly [Instance, ...Instance[]];
    const withFirst = byFirst.get(first) ?? [];
    const found = withFirst.find(({ members }) => sameItems(members, route.members));
    const filled = found ?? createPool(first, freeName(route, names), route);
    if (found === undefined) {
      byFirst.set(first, [...withFirst, filled]);
      for (const instance of filled.twice)
        call.refuse(instance, "another instance with the same id has the same host and path");
    }
    names.add(filled.pool.name);
    poolOf.set(route, filled.pool);
  }
  return poolOf;
}

function createPool(first: Instance, name: string, { host: asked, members }: Route): Filled {
  const host = asked.replace(/^\*\./, "");
  const make = () => {
    const servers = members.filter(({ state }) => state === "ready");
    const pool = {
      name,
      host,
      // Also of those that are not ready: only server lines should change when the last server goes.
      check: members.find((instance) => instance.meta.http_check !== undefined)?.meta.http_check,
      servers,
      usable: servers.some((instance) => instance.weight > 0),
      primary: servers.some((instance) => instance.meta.backup !== "true"),
      sticky: members.some((instance) => instance.meta.http_sticky === "true"),
      h2: members.some((instance) => instance.meta.http_proto === "h2"),
    };
    const ids = new Set<string>();
    const twice = servers.filter(({ id }) => ids.size === ids.add(id).size);
    return { members, pool, twice };
  };
  return keepPool(
    first,
    name,
    make,
    (before) => before.pool.host === host && sameItems(before.members, members),
  );
}

/** The services' names; where another pool has them already (their instances differ in routes) with the route. */
function freeName({ services, host, path }: Route, taken: ReadonlySet<string>): string {
  if (!taken.has(services)) return services;
  const withRoute = `${services}:${host}${path}`;
  let name = withRoute;
  for (let n = 2; taken.has(name); n++) name = `${withRoute}:${n}`;
  return name;
}

type Paths = Site["paths"];

const keepSite = createKeep<Pool, Site>();

function sitesOf(poolOf: ReadonlyMap<Route, Pool>): readonly Site[] {
  const sites = new Map<string, [Paths[number], ...Paths[number][]]>();
  for (const [{ host, path }, pool] of poolOf) {
    const paths = sites.get(host);
    if (paths) paths.push({ path, pool });
    else sites.set(host, [{ path, pool }]);
  }
  return [...sites]
    .map(([host, paths]) =>
      keepSite(
        paths[0].pool,
        host,
        () => ({
          host,
          exact: !host.startsWith("*."),
          suffix: host.startsWith("*.") ? host.slice(1) : "",
          paths,
          whole: paths.some(({ path }) => path === "/"),
        }),
        (before) => samePaths(before.paths, paths),
      ),
    )
    .sort(
      (a, b) => Number(b.exact) - Number(a.exact) || byLength(a.suffix, b.suffix) || compare(a.host, b.host),
    );
}

function samePaths(a: Paths, b: Paths): boolean {
  return (
    a.length === b.length && a.every(({ path, pool }, at) => path === b[at]?.path && pool === b[at].pool)
  );
}

function byLength(a: string, b: string): number {
  return b.length - a.length || compare(a, b);
}

/** The instances of each of what `services` gives. */
function instancesIn(services: unknown, { budget }: Call): readonly (readonly Instance[])[] {
  const lists = list(services).map((service) => list(object(service).instances) as readonly Instance[]);
  budget.spend(5 * lists.reduce((sum, { length }) => sum + length, 0));
  return lists;
}

/** What proxies listen for. */
export const routing: Readonly<Record<string, Helper>> = {
  httpRoutes: {
    arity: [1, 1],
    named: [],
    call: ([services], _, call) => httpRoutes(instancesIn(services, call), call),
  },
  portRoutes: {
    arity: [2, 4],
    named: ["least"],
    call: ([services, ...keys], { least = 1 }, call) =>
      portRoutes(instancesIn(services, call).flat(), keys.map(text), number(unquoted(least)), call),
  },
};
