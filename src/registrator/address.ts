import { isIP } from "node:net";
import type { Container, ContainerPort } from "./container.ts";

/** An address and port at which a container's port is reached. Both come from the same side. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What decides on the side and on the address. */
export interface AddressPolicy {
  /** The host's own address, or undefined with the reason why it is not known. */
  readonly hostAddress: string | { readonly unknown: string };
  readonly internal: boolean;
  /** The network whose address counts with `internal`. */
  readonly network: string | undefined;
}

/** Endpoints, or the reason in words why there is none. */
export type Endpoints = readonly Endpoint[] | { readonly none: string };

/**
 * Where a port is reached: a published port at the host's address and the host's port (a binding to one
 * address keeps that address), with `internal` at the container's own address and port, under host
 * networking at the host's address and the container's port.
 */
export function endpointsOf(container: Container, port: ContainerPort, policy: AddressPolicy): Endpoints {
  if (policy.internal && container.networkMode !== "host") {
    const address = containerAddress(container, policy.network);
    return typeof address === "string" ? [{ address, port: port.port }] : address;
  }
  if (container.networkMode === "host") {
    if (typeof policy.hostAddress !== "string") return { none: policy.hostAddress.unknown };
    return [{ address: policy.hostAddress, port: port.port }];
  }
  if (port.bindings.length === 0) {
    return {
      none: "the port is not published; publish it with -p or register container addresses with --internal",
    };
  }
  const endpoints = new Map<string, Endpoint>();
  for (const binding of port.bindings) {
    const specific = !isUnspecified(binding.address);
    if (!specific && typeof policy.hostAddress !== "string") return { none: policy.hostAddress.unknown };
    const address = specific ? binding.address : String(policy.hostAddress);
    // Docker publishes 0.0.0.0 and :: for one -p: the same place twice is one endpoint.
    endpoints.set(`${address} ${binding.port}`, { address, port: binding.port });
  }
  return [...endpoints.values()];
}

/** The container's address on the network that the rule names: the given one, else its mode's, else the first. */
function containerAddress(container: Container, wanted: string | undefined): string | { none: string } {
  const named = wanted ?? defaultNetwork(container);
  const network =
    named === undefined ? container.networks[0] : container.networks.find(({ name }) => name === named);
  if (!network) {
    const has = container.networks.map(({ name }) => name).join(", ") || "none";
    return { none: `the container is not on network ${wanted ?? container.networkMode}; it is on: ${has}` };
  }
  const address = network.ipv4 || network.ipv6;
  return address || { none: `the container has no address on network ${network.name}` };
}

function defaultNetwork(container: Container): string | undefined {
  const mode = container.networkMode === "default" ? "bridge" : container.networkMode;
  return container.networks.some(({ name }) => name === mode) ? mode : undefined;
}

/** Why an address must not be registered, or undefined. */
export function unusable(address: string, loopbackAllowed: boolean): string | undefined {
  const version = isIP(address.replace(/%.*$/, ""));
  if (version === 0) return `"${address}" is not an IP address`;
  if (isUnspecified(address)) return `the unspecified address ${address} is reachable from nowhere`;
  if (!loopbackAllowed && isLoopback(address)) {
    return `the loopback address ${address} is reachable from this host only; publish the port on another address`;
  }
  return undefined;
}

export function isUnspecified(address: string): boolean {
  return address === "" || address === "0.0.0.0" || /^[0:]+$/.test(address);
}

export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\./i.test(address) || /^(0*:)*0*1$/.test(address);
}
