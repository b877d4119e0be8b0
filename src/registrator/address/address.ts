import type { Container, ContainerPort } from "../docker/container.ts";
import type { Given } from "../rules/labels.ts";
import { shown } from "../rules/shown.ts";
import { readIp } from "./ip.ts";

/** An address and port at which a container's port is reached. Both come from the same side. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** An endpoint, with the rule that gave its address and the one that gave its port, in words. */
export interface Place extends Endpoint {
  readonly addressFrom: string;
  readonly portFrom: string;
}

/** What decides on the side and on the address. */
export interface AddressPolicy {
  /** The host's own address, or the reason why it is not known. */
  readonly hostAddress: string | { readonly unknown: string };
  /** Where the host's address is from, e.g. `--ip interface:eth0`. */
  readonly hostAddressFrom: string;
  /** The host's address of the other family, for ports that are published on that family only. */
  readonly otherHostAddress: string | undefined;
  /** Who wants the container's own address, e.g. `--internal`; undefined: the published ports count. */
  readonly internal: string | undefined;
  /** The network whose address counts with `internal`, and who names it. */
  readonly network: Given | undefined;
  /** An address that takes the place of the rules', and whether it may be a loopback one. */
  readonly address: (Given & { readonly mayBeLoopback: boolean }) | undefined;
  /** Of the labels, for messages that name one. */
  readonly labelPrefix: string;
  /** A port that takes the place of the rules'. */
  readonly port: { readonly number: number; readonly from: string } | undefined;
}

/** Where a port is reached, and why it is not reached where else one might expect it. */
export interface Places {
  readonly places: readonly Place[];
  readonly refused: readonly string[];
}

/** The rules of one side, before labels and what cannot be used are looked at. */
type Side = readonly (Place & { readonly why?: string })[] | { readonly none: string };

/**
 * Where a port is reached: a published port at the host's address and the host's port (a binding to one
 * address keeps that address, and one to a single family gets the host's of that family); with `internal`, and on networks that publish nothing (macvlan, ipvlan), at the
 * container's own address and port; under host networking at the host's address and the container's port.
 * `networked` is the container whose network it uses, which is itself unless it runs with
 * `--network container:…`.
 */
export function placesOf(networked: Container, port: ContainerPort, policy: AddressPolicy): Places {
  const { address, port: number } = policy;
  const side: Side =
    address && number
      ? [{ address: address.value, addressFrom: address.from, port: number.number, portFrom: number.from }]
      : sideOf(networked, port, policy);
  if ("none" in side) return { places: [], refused: [side.none] };
  const places: Place[] = [];
  const refused: string[] = [];
  for (const found of side) {
    const place = replaced(found, policy);
    const allowed = address ? address.mayBeLoopback : isHostNear(place, policy);
    const reason = (address ? undefined : found.why) ?? whyUnusable(place, address !== undefined, allowed);
    if (reason !== undefined) refused.push(reason);
    else if (!places.some((other) => other.address === place.address && other.port === place.port)) {
      places.push(place);
    }
  }
  return { places, refused: [...new Set(refused)] };
}

/** The place with the address and port that labels give, in their usual form. */
function replaced(found: Place, { address, port }: AddressPolicy): Place {
  const written = address?.value ?? found.address;
  const ip = readIp(written);
  return {
    // A zone stays, so that it is seen and refused.
    address: ip?.zone === undefined ? (ip?.text ?? written) : written,
    addressFrom: address?.from ?? found.addressFrom,
    port: port?.number ?? found.port,
    portFrom: port?.from ?? found.portFrom,
  };
}

/** An operator who gives this host an address that only neighbours can use wants it registered. */
function isHostNear({ address }: Place, { hostAddress }: AddressPolicy): boolean {
  return typeof hostAddress === "string" && (isLoopback(hostAddress) || hostAddress === address);
}

function whyUnusable(place: Place, isGiven: boolean, loopbackAllowed: boolean): string | undefined {
  const reason = unusable(place.address, loopbackAllowed);
  if (reason === undefined) return undefined;
  if (isGiven) return `${place.addressFrom}: ${reason}`;
  return `${reason} (${[...new Set([place.addressFrom, place.portFrom])].join(", ")})`;
}

function sideOf(networked: Container, port: ContainerPort, policy: AddressPolicy): Side {
  const { networkMode } = networked;
  if (networkMode === "host") {
    const host = hostEnd(policy);
    return "none" in host ? host : [{ ...host, port: port.port, portFrom: "the container's port" }];
  }
  if (networkMode === "none") return { none: "the container has no network (--network none)" };
  const own = policy.internal ?? ownAddressRule(networked);
  if (own !== undefined) return containerEnd(networked, port, policy, own);
  if (port.bindings.length > 0) return hostEnds(port, policy);
  const way = `publish it with -p, or register the container's own address with --internal or ${policy.labelPrefix}INTERNAL`;
  return { none: `the port is not published; ${way}` };
}

/** Docker's bridges list every exposed port; a network that lists none gives the container to the outside as it is. */
function ownAddressRule({ networkMode, ports }: Container): string | undefined {
  const isBridge = /^(default|bridge|)$/.test(networkMode);
  const listed = ports.some(({ first, bindings }) => first !== undefined || bindings.length > 0);
  return isBridge || listed || ports.length === 0
    ? undefined
    : `network ${shown(networkMode)} publishes no ports`;
}

/** The host's own end: its address, whatever the port. */
function hostEnd({
  hostAddress,
  hostAddressFrom,
  address,
}: AddressPolicy): Omit<Place, "port" | "portFrom"> | { none: string } {
  // An address that is given makes the host's needless.
  if (address) return { address: address.value, addressFrom: address.from };
  if (typeof hostAddress !== "string") return { none: hostAddress.unknown };
  return { address: hostAddress, addressFrom: hostAddressFrom };
}

function hostEnds({ bindings }: ContainerPort, policy: AddressPolicy): Side {
  const ends: (Place & { why?: string })[] = [];
  for (const binding of bindings) {
    const at = `published at ${formatted(binding.address)}:${binding.port}`;
    if (!isUnspecified(binding.address)) {
      const { address, port } = binding;
      ends.push({ address, port, addressFrom: at, portFrom: at });
      continue;
    }
    const host = hostEnd(policy);
    if ("none" in host) return host;
    const end = { ...host, port: binding.port, portFrom: at };
    const why = policy.address ? undefined : whyOtherFamily(binding.address, host.address);
    const other = policy.otherHostAddress;
    // Docker publishes 0.0.0.0 and :: for one -p, and not always at the same port.
    const hasTwin = bindings.some(
      (other) => isUnspecified(other.address) && whyOtherFamily(other.address, host.address) === undefined,
    );
    if (why === undefined) ends.push(end);
    else if (hasTwin) continue;
    else if (other !== undefined && whyOtherFamily(binding.address, other) === undefined) {
      const from = `${policy.hostAddressFrom}, its IPv${readIp(other)?.version} address`;
      ends.push({ ...end, address: other, addressFrom: from });
    } else {
      const way = `publish it for both, or give the address with ${policy.labelPrefix}IP`;
      ends.push({ ...end, why: `${at}, ${why}; ${way}` });
    }
  }
  return ends;
}

/** Docker answers on the family of the binding only: a port at `::` refuses IPv4. */
function whyOtherFamily(binding: string, host: string): string | undefined {
  if (binding === "") return undefined;
  const [bound, own] = [readIp(binding)?.version, readIp(host)?.version];
  if (bound === own || own === undefined) return undefined;
  return `for IPv${bound} only, and the host's address ${host} is IPv${own}`;
}

function containerEnd(networked: Container, port: ContainerPort, policy: AddressPolicy, rule: string): Side {
  const end = { port: port.port, portFrom: "the container's port" };
  // An address that is given makes the network's needless.
  if (policy.address) return [{ ...end, address: policy.address.value, addressFrom: policy.address.from }];
  const network = networkOf(networked, policy.network);
  if ("none" in network) return network;
  // One address for each port, so that nothing counts twice: of the family by which this host is reached.
  const host = typeof policy.hostAddress === "string" ? readIp(policy.hostAddress) : undefined;
  const address = host?.version === 6 ? network.ipv6 || network.ipv4 : network.ipv4 || network.ipv6;
  if (address === "") return { none: `the container has no address on network ${shown(network.name)}` };
  const named = policy.network === undefined ? "" : `, ${policy.network.from}`;
  return [{ ...end, address, addressFrom: `network ${shown(network.name)} (${rule}${named})` }];
}

/** The network that is named, else that of the container's mode, else the first by name that has an address. */
function networkOf(
  { networks, networkMode }: Container,
  wanted: Given | undefined,
): Container["networks"][number] | { readonly none: string } {
  const mode = networkMode === "default" ? "bridge" : networkMode;
  const found =
    wanted === undefined
      ? (networks.find(({ name }) => name === mode) ??
        networks.find(({ ipv4, ipv6 }) => ipv4 !== "" || ipv6 !== "") ??
        networks[0])
      : networks.find(({ name }) => name === wanted.value);
  if (found) return found;
  const has = networks.map(({ name }) => shown(name)).join(", ") || "none";
  const named =
    wanted === undefined
      ? "it has no network"
      : `${wanted.from}: it is not on network ${shown(wanted.value)}`;
  return { none: `${named}; it is on: ${has}` };
}

/** Why an address must not be registered, with the way out where there is one; undefined when it may be. */
export function unusable(address: string, loopbackAllowed: boolean): string | undefined {
  const ip = readIp(address);
  if (ip === undefined) {
    const octal = /^[0-9]+(\.[0-9]+){3}$/.test(address) && /(^|\.)0[0-9]/.test(address);
    const hint = octal
      ? "; some programs take a number with a leading zero for octal, so write it without"
      : "";
    return `"${shown(address)}" is not an IP address${hint}`;
  }
  if (ip.zone !== undefined) {
    return `the address ${shown(address)} has a zone, which means something on one host only; give an address without`;
  }
  if (ip.kind === "other" || (loopbackAllowed && ip.kind === "loopback")) return undefined;
  // With no zone, nobody could tell on which link an IPv6 one is.
  if (loopbackAllowed && ip.kind === "link-local" && ip.version === 4) return undefined;
  const reasons: Readonly<Record<typeof ip.kind, string>> = {
    unspecified: "is reachable from nowhere",
    loopback: "is reachable from this host only; publish the port on another address",
    "link-local": "is reachable from one link only; give another one",
    multicast: "is no host's own",
    broadcast: "is no host's own",
  };
  return `the ${ip.kind} address ${address} ${reasons[ip.kind]}`;
}

/** True for all forms of "any address", and for none at all. */
export function isUnspecified(address: string): boolean {
  return address === "" || readIp(address)?.kind === "unspecified";
}

/** True for all forms of an address of this host that no other one can reach. */
export function isLoopback(address: string): boolean {
  return readIp(address)?.kind === "loopback";
}

function formatted(address: string): string {
  return address.includes(":") ? `[${shown(address)}]` : shown(address) || "0.0.0.0";
}
