import { BlockList } from "node:net";
import { PortolanError } from "../../errors.ts";
import type { Engine } from "../docker/engine.ts";
import { type AddressPolicy, unusable } from "./address.ts";
import { type HostNetwork, readHostNetwork } from "./host-network.ts";
import { readIp } from "./ip.ts";

/** What the host's address depends on besides `--ip`. */
export interface HostContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly engine: Pick<Engine, "containers" | "hostname">;
  /** Docker's URL. */
  readonly docker: string;
  /** Read anew each time, since addresses change. */
  readonly network?: () => HostNetwork;
}

/**
 * The host's address as `--ip` says: an address, `interface:NAME`, `cidr:NET` or `env:VAR`; without it the
 * address of the interface that holds the default route. Throws USAGE for a rule that cannot be understood.
 */
export function hostAddress(rule: string | undefined, context: HostContext): AddressPolicy["hostAddress"] {
  const { env, network = readHostNetwork } = context;
  if (rule === undefined) return routedAddress(network(), context);
  if (readIp(rule)) return usable(rule, `--ip ${rule}`);
  const [, kind, value = ""] = /^(interface|cidr|env):(.*)$/s.exec(rule) ?? [];
  switch (kind) {
    case "interface":
      return (
        addressOf(network(), value) ?? { unknown: `--ip ${rule}: no interface ${value} with an address` }
      );
    case "cidr": {
      const found = addressIn(network(), value, rule);
      return found ?? { unknown: `--ip ${rule}: no interface has an address in ${value}` };
    }
    case "env":
      return env[value]?.trim()
        ? usable(env[value], `--ip ${rule}: ${value}`)
        : { unknown: `--ip ${rule}: the environment has no ${value}, or it is empty` };
    default:
      throw new PortolanError(
        "USAGE",
        `--ip ${rule}: not understood; write an address, interface:eth0, cidr:10.0.0.0/8 or env:VAR`,
      );
  }
}

/**
 * The host's address of the other family than `address`, by the same rule: of the same interface, or of a default
 * route's. Undefined where there is none, or where the rule stands for one address only.
 */
export function otherHostAddress(
  rule: string | undefined,
  address: AddressPolicy["hostAddress"],
  { network: read = readHostNetwork }: HostContext,
): string | undefined {
  const name = /^interface:(.*)$/s.exec(rule ?? "")?.[1];
  if (typeof address !== "string" || (rule !== undefined && name === undefined)) return undefined;
  const network = read();
  const names = name === undefined ? network.defaultRoutes : [name];
  return names
    .flatMap((each) => addressesOf(network, each))
    .find((other) => readIp(other)?.version !== readIp(address)?.version);
}

/** An address that somebody wrote, in its usual form. Who writes a loopback one wants it. */
function usable(written: string, from: string): AddressPolicy["hostAddress"] {
  const text = written.trim();
  const why = unusable(text, true);
  return why === undefined ? (readIp(text)?.text ?? text) : { unknown: `${from}: ${why}` };
}

/** The address of the default route, unless it is not that of Docker's host. */
function routedAddress(network: HostNetwork, { docker, engine }: HostContext): AddressPolicy["hostAddress"] {
  if (isElsewhere(docker, engine, network)) {
    return {
      unknown: `the Docker at ${docker} runs on ${engine.hostname}, another host, whose address is not known here; give it with --ip, or run on that host`,
    };
  }
  const addresses = network.defaultRoutes.map((name) => addressOf(network, name));
  const address = addresses.find((found) => found !== undefined);
  if (address === undefined) return { unknown: "this host has no default route; give its address with --ip" };
  // Inside a bridged container the default route leads to the bridge, not to where others come from.
  const inside = [...engine.containers.values()].some(({ networks }) =>
    networks.some(({ ipv4, ipv6 }) => ipv4 === address || ipv6 === address),
  );
  if (!inside) return address;
  return {
    unknown: `${address} is the address of a container, not of the host: run with --network host, or give the host's address with --ip`,
  };
}

/**
 * True when Docker's URL leads to another host. A proxy in front of this host's Docker may have any address,
 * but the daemon behind it has this host's name.
 */
export function isElsewhere(
  docker: string,
  engine: Pick<Engine, "hostname">,
  network: HostNetwork = readHostNetwork(),
): boolean {
  const [, authority = ""] = /^(?:tcp|https?):\/\/([^/]+)/.exec(docker) ?? [];
  if (authority === "" || engine.hostname === network.hostname) return false;
  const host = authority.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const ip = readIp(host);
  if (ip === undefined) return host !== "localhost" && host !== network.hostname;
  const own = [...network.interfaces.values()].flat();
  return ip.kind !== "loopback" && !own.some((address) => readIp(address)?.text === ip.text);
}

/** Without link-local addresses, which other hosts cannot use. */
function addressesOf({ interfaces }: HostNetwork, name: string): readonly string[] {
  return (interfaces.get(name) ?? []).filter((address) => readIp(address)?.kind !== "link-local");
}

/** IPv4 first. */
function addressOf(network: HostNetwork, name: string): string | undefined {
  const found = addressesOf(network, name);
  return found.find((address) => readIp(address)?.version === 4) ?? found[0];
}

/** On the default route's interface if it has one there, else on the first by name, on Docker's own ones last. */
function addressIn(network: HostNetwork, net: string, rule: string): string | undefined {
  const [start = "", bits = "", ...more] = net.split("/");
  const ip = readIp(start);
  const most = ip?.version === 4 ? 32 : 128;
  if (!ip || more.length > 0 || !/^\d+$/.test(bits) || Number(bits) > most) {
    throw new PortolanError("USAGE", `--ip ${rule}: "${net}" is not a network; write e.g. cidr:10.0.0.0/8`);
  }
  const list = new BlockList();
  list.addSubnet(ip.text, Number(bits), ip.version === 4 ? "ipv4" : "ipv6");
  const { defaultRoutes, interfaces } = network;
  const rank = (name: string) =>
    defaultRoutes.includes(name)
      ? defaultRoutes.indexOf(name) - defaultRoutes.length
      : isDockers(name)
        ? 1
        : 0;
  return [...interfaces]
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .flatMap(([, addresses]) => addresses)
    .find((address) => {
      const own = readIp(address);
      // Without its zone nobody can use a link-local IPv6 address.
      if (!own || (own.version === 6 && own.kind === "link-local")) return false;
      return list.check(address, own.version === 4 ? "ipv4" : "ipv6");
    });
}

/** Bridges and ends of cables that Docker makes: their addresses are for its containers. */
function isDockers(name: string): boolean {
  return /^(docker|br-[0-9a-f]{12}$|veth)/.test(name);
}
