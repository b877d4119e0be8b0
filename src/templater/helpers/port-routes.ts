import { compare, type Instance, type Protocol } from "../../instance.ts";
import { shown } from "../escape/admit.ts";
import type { Call } from "./helper.ts";
import { createKeep, sameItems } from "./kept.ts";
import { isAddress } from "./output.ts";

/** A port of the proxy and the service behind it. */
export interface PortRoute {
  readonly port: number;
  readonly protocol: Protocol;
  /** The meta key that asked for it. */
  readonly key: string;
  readonly service: string;
  /** The service's name, unless another one of its ports has it: no other route of the key has the same. */
  readonly name: string;
  /** The ready instances, by id. */
  readonly servers: readonly Instance[];
  /** The draining ones, by id: they keep the connections that they have. */
  readonly leaving: readonly Instance[];
  /** True when one that takes connections is no backup. */
  readonly primary: boolean;
  /** How a server can be asked for its role (meta role_check); undefined: not at all. */
  readonly check: string | undefined;
}

/**
 * The ports that instances ask for in these meta keys, by port. Instances in any state say what is routed, ready
 * ones serve, so that a port stays open while nobody is ready. A port belongs to one service and one key: where
 * two want it, the first by name has it, and the other's instances are refused.
 */
export function portRoutes(
  instances: readonly Instance[],
  keys: readonly string[],
  least: number,
  call: Pick<Call, "refuse">,
): readonly PortRoute[] {
  const routes = new Map<string, Found>();
  const sorted = [...instances].sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id));
  for (const instance of sorted) {
    const { protocol, service, meta } = instance;
    if (protocol === "sctp") continue;
    for (const key of keys) {
      const asked = Object.hasOwn(meta, key) ? (meta[key] ?? "") : "";
      if (asked === "") continue;
      const port = Number(asked);
      const place = `${protocol}:${asked}`;
      const route = routes.get(place) ?? { port, protocol, key, service, members: [] };
      const why = whyNot(instance, key, asked, least, route);
      if (why !== undefined) {
        call.refuse(instance, why);
        continue;
      }
      routes.set(place, route);
      route.members.push(instance);
    }
  }
  const found = [...routes.values()].sort((a, b) => compare(a.protocol, b.protocol) || a.port - b.port);
  return named(found).map((route) => {
    const [first] = route.members as [Instance, ...Instance[]];
    const kept = keepRoute(
      first,
      `${route.key}:${route.port}`,
      () => gathered(route),
      (before) => before.route.name === route.name && sameItems(before.members, route.members),
    );
    return kept.route;
  });
}

/** Instances of one service may ask for different ports, as while their containers are replaced. */
function named(routes: readonly Found[]): readonly Named[] {
  const services = new Set(routes.map(({ key, service }) => `${key} ${service}`));
  const taken = new Set<string>();
  return routes.map((route) => {
    const { key, service, port } = route;
    let name = service;
    for (let n = 1; taken.has(`${key} ${name}`) || (n > 1 && services.has(`${key} ${name}`)); n++)
      name = `${service}:${port}${n > 1 ? `:${n}` : ""}`;
    taken.add(`${key} ${name}`);
    return { ...route, name };
  });
}

/** Routes in which nothing has changed are the same objects as before. */
const keepRoute = createKeep<
  Instance,
  { readonly members: readonly Instance[]; readonly route: PortRoute }
>();

function gathered({ members, ...found }: Named): { members: readonly Instance[]; route: PortRoute } {
  const servers = members.filter(({ state }) => state === "ready");
  const leaving = members.filter(({ state }) => state === "draining");
  const primary = servers.some(({ meta }) => meta.backup !== "true");
  // Also of those that are not ready: only server lines should change with them.
  const check = members.find(({ meta }) => meta.role_check !== undefined)?.meta.role_check;
  return { members, route: { ...found, servers, leaving, primary, check } };
}

/** A route while its instances are being gathered. */
type Found = Pick<PortRoute, "port" | "protocol" | "key" | "service"> & { readonly members: Instance[] };

type Named = Found & Pick<PortRoute, "name">;

function whyNot(
  { address, service }: Instance,
  key: string,
  asked: string,
  least: number,
  route: Found,
): string | undefined {
  if (!/^[1-9][0-9]{0,4}$/.test(asked) || Number(asked) > 65535) {
    return `meta ${key}: ${shown(asked)} is not a port; write a number like 5432`;
  }
  if (Number(asked) < least) return `meta ${key}: ports below ${least} are not given away`;
  if (route.service !== service) return `meta ${key}: port ${asked} belongs to the service ${route.service}`;
  if (route.key !== key) return `meta ${key}: port ${asked} is the service's ${route.key} already`;
  if (!isAddress(address) || /^(::ffff:)?[0.]+$|^[0:]+$/i.test(address)) {
    return `address ${shown(address)} is not an IP address that a proxy can connect to`;
  }
  return undefined;
}
