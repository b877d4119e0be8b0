import { readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";

/** What this host's network looks like at a moment. */
export interface HostNetwork {
  readonly hostname: string;
  /** By name; the addresses of each in the system's order, IPv6 without a zone. */
  readonly interfaces: ReadonlyMap<string, readonly string[]>;
  /** The interfaces of the default routes, the best first, IPv4 before IPv6. */
  readonly defaultRoutes: readonly string[];
}

/** Reads it from the system. What cannot be read is empty. */
export function readHostNetwork(): HostNetwork {
  return {
    hostname: hostname(),
    interfaces: new Map(
      Object.entries(networkInterfaces()).map(([name, entries = []]) => [
        name,
        entries.map(({ address }) => address),
      ]),
    ),
    defaultRoutes: defaultRoutes(read("/proc/net/route"), read("/proc/net/ipv6_route")),
  };
}

/** The flag of a route that refuses. */
const reject = 0x200;

/** The interfaces of the default routes in Linux's two tables, IPv4 before IPv6, the lowest metric first. */
export function defaultRoutes(ipv4: string, ipv6: string): readonly string[] {
  const routes4 = rows(ipv4).flatMap(([name = "", target, , flags = "", , , metric, mask]) =>
    target === "00000000" && mask === "00000000" && !(Number.parseInt(flags, 16) & reject)
      ? { name, metric: Number(metric) }
      : [],
  );
  const routes6 = rows(ipv6).flatMap((cells) => {
    const [target = "", bits, , , , metric = "", , , flags = "", name = ""] = cells;
    const isDefault = /^0{32}$/.test(target) && bits === "00" && !(Number.parseInt(flags, 16) & reject);
    return isDefault && name !== "lo" ? { name, metric: Number.parseInt(metric, 16) } : [];
  });
  const best = (routes: readonly { name: string; metric: number }[]) =>
    [...routes].sort((a, b) => a.metric - b.metric).map(({ name }) => name);
  return [...new Set([...best(routes4), ...best(routes6)])];
}

function rows(table: string): readonly (readonly string[])[] {
  return table
    .split("\n")
    .filter(Boolean)
    .map((line) => line.trim().split(/\s+/));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
