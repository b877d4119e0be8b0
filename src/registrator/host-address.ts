import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { PortolanError } from "../errors.ts";
import type { AddressPolicy } from "./address.ts";
import type { Engine } from "./docker.ts";

/**
 * The host's address as `--ip` says: an address, `interface:NAME`, `cidr:NET` or `env:VAR`; without it the
 * address of the interface that holds the default route. Read anew each time, since addresses change.
 * Throws USAGE for a rule that cannot be understood.
 */
export function hostAddress(
  rule: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  engine: Engine,
): AddressPolicy["hostAddress"] {
  if (rule === undefined) {
    const name = defaultInterface();
    const address = name === undefined ? undefined : addressOf(name);
    if (address === undefined)
      return { unknown: "this host has no default route; give its address with --ip" };
    // Inside a bridged container the default route leads to the bridge, not to where others come from.
    const inside = [...engine.containers.values()].some(({ networks }) =>
      networks.some(({ ipv4, ipv6 }) => ipv4 === address || ipv6 === address),
    );
    if (!inside) return address;
    return {
      unknown: `${address} is the address of a container, not of the host: run with --network host, or give the host's address with --ip`,
    };
  }
  if (isIP(rule) !== 0) return rule;
  const [kind, value = ""] = [rule.slice(0, rule.indexOf(":")), rule.slice(rule.indexOf(":") + 1)];
  switch (kind) {
    case "interface":
      return addressOf(value) ?? { unknown: `--ip ${rule}: no interface ${value} with an address` };
    case "cidr":
      return addressIn(value, rule) ?? { unknown: `--ip ${rule}: no interface has an address in ${value}` };
    case "env": {
      const address = env[value] ?? "";
      return isIP(address) !== 0
        ? address
        : { unknown: `--ip ${rule}: ${value}="${address}" is not an IP address` };
    }
    default:
      throw new PortolanError(
        "USAGE",
        `--ip ${rule}: not understood; write an address, interface:eth0, cidr:10.0.0.0/8 or env:VAR`,
      );
  }
}

/** IPv4 first; never a link-local address, which other hosts cannot use. */
function addressOf(name: string): string | undefined {
  const found = (networkInterfaces()[name] ?? []).filter(
    ({ address }) => !/^(169\.254\.|fe80:)/i.test(address),
  );
  return (found.find(({ family }) => family === "IPv4") ?? found[0])?.address;
}

function addressIn(net: string, rule: string): string | undefined {
  const [address = "", bits = ""] = net.split("/");
  const version = isIP(address);
  if (version === 0 || !/^\d+$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) {
    throw new PortolanError("USAGE", `--ip ${rule}: "${net}" is not a network; write e.g. cidr:10.0.0.0/8`);
  }
  const list = new BlockList();
  list.addSubnet(address, Number(bits), version === 4 ? "ipv4" : "ipv6");
  return Object.entries(networkInterfaces())
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, entries]) => entries ?? [])
    .find((entry) => list.check(entry.address, entry.family === "IPv4" ? "ipv4" : "ipv6"))?.address;
}

/** The interface of the IPv4 default route, else of the IPv6 one, with the lowest metric. */
function defaultInterface(): string | undefined {
  const v4 = table("/proc/net/route")
    .filter((row) => row[1] === "00000000" && row[7] === "00000000")
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  if (v4[0]?.[0] !== undefined) return v4[0][0];
  return table("/proc/net/ipv6_route").find(
    (row) => /^0{32}$/.test(row[0] ?? "") && row[1] === "00" && row[9] !== "lo",
  )?.[9];
}

function table(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}
