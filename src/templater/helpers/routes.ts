import { list, number, object, text, unquoted } from "../../handlebars/helper.ts";
import { compare, type Instance } from "../../instance.ts";
import { shown } from "../escape/admit.ts";
import type { Call, Helper } from "./helper.ts";
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
  readonly members: Instance[];
}

const pathText = /^\/[A-Za-z0-9._~:@+,=/-]{0,254}$/;
const checkText = /^\/[A-Za-z0-9._~:@+,=/?&%-]{0,254}$/;
const slowStart = /^[1-9][0-9]{0,3}s$/;
const mostHosts = 64;

/**
 * The routing table for what the instances of these services say: meta http_host (a comma list of hosts,
 * `*.example.com` for all below), http_path (a prefix, `/` when absent), http_check, http_sticky, backup.
 *
 * Instances in any state say what is routed, ready ones serve: a service without a ready instance keeps its
 * hosts and gets a pool without servers. An instance that says something impossible is refused. Instances
 * with the same host and path share a pool, whatever their service.
 */
export function httpRoutes(instances: readonly Instance[], call: Pick<Call, "refuse">): HttpRoutes {
  const routes = new Map<string, Route>();
  for (const instance of instances) {
    const asked = claims(instance);
    if (typeof asked === "string") {
      call.refuse(instance, asked);
      continue;
    }
    for (const { host, path } of asked) {
      const key = `${host}${path}`;
      const route = routes.get(key);
      if (route) route.members.push(instance);
      else routes.set(key, { host, path, members: [instance] });
    }
  }
  const sorted = [...routes.values()].sort((a, b) => compare(a.host, b.host) || byLength(a.path, b.path));
  const poolOf = poolsOf(sorted, call);
  return {
    pools: [...new Set(poolOf.values())].sort((a, b) => compare(a.name, b.name)),
    sites: sitesOf(poolOf),
  };
}

/** The hosts and the path that an instance asks for; words when they cannot be had. */
function claims(instance: Instance): readonly { host: string; path: string }[] | string {
  const { http_host: hosts = "", http_path: path = "/", http_check: check } = instance.meta;
  if (instance.protocol !== "tcp") return [];
  const names = [...new Set(hosts.split(",").map((host) => host.trim().toLowerCase()))].filter(Boolean);
  if (names.length === 0) return [];
  const wrong = names.find((host) => !isHostName(host.replace(/^\*\./, "")));
  if (wrong !== undefined) {
    return `meta http_host: ${shown(wrong)} is not a host name; write names like www.example.com or *.example.com`;
  }
  if (names.length > mostHosts) return `meta http_host has more than ${mostHosts} hosts`;
  if (!pathText.test(path)) return `meta http_path: ${shown(path)} is not a path; write one like /api`;
  if (check !== undefined && !checkText.test(check)) {
    return `meta http_check: ${shown(check)} is not a path; write one like /health`;
  }
  const { http_slow_start: rise } = instance.meta;
  if (rise !== undefined && !slowStart.test(rise)) {
    return `meta http_slow_start: ${shown(rise)} is not a time in seconds; write one like 30s`;
  }
  if (!isReachable(instance.address)) {
    return `address ${shown(instance.address)} is not an IP address that a proxy can connect to`;
  }
  return names.map((host) => ({ host, path }));
}

/** A name that the proxy cannot resolve would keep it from loading any file, and 0.0.0.0 is the proxy itself. */
function isReachable(address: string): boolean {
  return isAddress(address) && !/^(::ffff:)?[0.]+$|^[0:]+$/i.test(address);
}

function poolsOf(routes: readonly Route[], call: Pick<Call, "refuse">): ReadonlyMap<Route, Pool> {
  const byMembers = new Map<string, Pool>();
  const names = new Set<string>();
  const poolOf = new Map<Route, Pool>();
  for (const route of routes) {
    const members = JSON.stringify(route.members.map(({ service, id }) => [service, id]));
    const pool = byMembers.get(members) ?? createPool(freeName(route, names), route, call);
    byMembers.set(members, pool);
    names.add(pool.name);
    poolOf.set(route, pool);
  }
  return poolOf;
}

function createPool(name: string, { host, members }: Route, call: Pick<Call, "refuse">): Pool {
  const ids = new Set<string>();
  const servers = members.filter((instance) => {
    if (instance.state !== "ready") return false;
    if (ids.has(instance.id))
      call.refuse(instance, "another instance with the same id has the same host and path");
    ids.add(instance.id);
    return true;
  });
  return {
    name,
    host: host.replace(/^\*\./, ""),
    // Also of those that are not ready: only server lines should change when the last server goes.
    check: members.find((instance) => instance.meta.http_check !== undefined)?.meta.http_check,
    servers,
    usable: servers.some((instance) => instance.weight > 0),
    primary: servers.some((instance) => instance.meta.backup !== "true"),
    sticky: members.some((instance) => instance.meta.http_sticky === "true"),
  };
}

/** The services' names; where another pool has them already (their instances differ in routes) with the route. */
function freeName(route: Route, taken: ReadonlySet<string>): string {
  const services = [...new Set(route.members.map(({ service }) => service))].sort(compare).join("_");
  const candidates = [services, `${services}:${route.host}${route.path}`];
  for (let n = 2; ; n++) {
    const name = candidates.find((candidate) => !taken.has(candidate));
    if (name !== undefined) return name;
    candidates.push(`${services}:${route.host}${route.path}:${n}`);
  }
}

function sitesOf(poolOf: ReadonlyMap<Route, Pool>): readonly Site[] {
  const sites = new Map<string, { path: string; pool: Pool }[]>();
  for (const [{ host, path }, pool] of poolOf) {
    const paths = sites.get(host);
    if (paths) paths.push({ path, pool });
    else sites.set(host, [{ path, pool }]);
  }
  return [...sites]
    .map(([host, paths]) => ({
      host,
      exact: !host.startsWith("*."),
      suffix: host.startsWith("*.") ? host.slice(1) : "",
      paths,
      whole: paths.some(({ path }) => path === "/"),
    }))
    .sort(
      (a, b) => Number(b.exact) - Number(a.exact) || byLength(a.suffix, b.suffix) || compare(a.host, b.host),
    );
}

function byLength(a: string, b: string): number {
  return b.length - a.length || compare(a, b);
}

/** What `services` gives, as one list. */
function instancesIn(services: unknown, { budget }: Call): readonly Instance[] {
  const instances = list(services).flatMap(
    (service) => list(object(service).instances) as readonly Instance[],
  );
  budget.spend(5 * instances.length);
  return instances;
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
      portRoutes(instancesIn(services, call), keys.map(text), number(unquoted(least)), call),
  },
};
