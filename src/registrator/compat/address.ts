import { isLoopback, type Place, unusable } from "../address/address.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import { own } from "../rules/names.ts";
import type { Circumstances } from "../rules/outcome.ts";
import { shown } from "../rules/shown.ts";

/** An address as registrator would take it, which may be one that nobody can use, and the rule that gave it. */
interface Found {
  readonly address: string;
  readonly from: string;
}

/**
 * Where registrator registers a port: at the address of the container whose network it shares, else at that of
 * `-useIpFromLabel`, else at the host's end of its first binding, or with `-internal` at the container's own
 * address and port. Under a network that is not Docker's own it takes the container's address with the host's
 * port, unless there is `-ip`. What registrator would register although nobody can reach it is none: an empty,
 * unspecified or loopback address, or a text that is no address.
 */
export function compatPlace(
  container: Container,
  port: ContainerPort,
  circumstances: Circumstances,
): Place | { readonly none: string } {
  const { settings, hostAddress } = circumstances;
  const found =
    sharedAddress(container, circumstances) ??
    labelled(container, settings.useIpFromLabel) ??
    (settings.internal ? ownAddress(container, settings.network) : hostEnd(container, port, circumstances));
  if ("none" in found) return found;
  const { address, from } = found;
  // An operator who gives this host an address that only neighbours can use wants it registered.
  const meant = settings.ip === undefined ? undefined : hostAddress;
  const isMeant = typeof meant === "string" && (isLoopback(meant) || meant === address);
  const reason = unusable(address, isMeant);
  if (reason !== undefined) return { none: `${address === "" ? "there is no address" : reason} (${from})` };
  const bound = settings.internal ? undefined : port.first;
  return {
    address,
    port: bound?.port ?? port.port,
    addressFrom: from,
    portFrom: bound ? `published at ${at(bound.address)}:${bound.port}` : "the container's port",
  };
}

/** The address of the first binding, where `-ip` and the host's address do not replace it. */
function hostEnd(
  { networkMode, networks }: Container,
  { first }: ContainerPort,
  { settings, hostAddress }: Circumstances,
): Found | { readonly none: string } {
  const host = (from: string) =>
    typeof hostAddress === "string" ? { address: hostAddress, from } : { none: hostAddress.unknown };
  if (settings.ip !== undefined) return host(`-ip ${settings.ip}`);
  if (!/^(bridge|default|host)$/.test(networkMode)) {
    const address = networks.find(({ name }) => name === networkMode)?.ipv4 ?? "";
    return {
      address,
      from: `the container's own address under network mode ${shown(networkMode)}, for want of -ip`,
    };
  }
  const address = first?.address || "0.0.0.0";
  return address === "0.0.0.0"
    ? host("the host's address")
    : { address, from: "the address of the first binding" };
}

/** The address on the default bridge; else on the network of its mode, else on the first one by name. */
function ownAddress({ networkMode, networks }: Container, wanted: string | undefined): Found {
  const named = networks.filter(({ ipv4 }) => ipv4 !== "");
  const order = wanted === undefined ? ["bridge", networkMode, named[0]?.name] : [wanted];
  for (const name of order) {
    const address = named.find((network) => network.name === name)?.ipv4;
    if (address !== undefined)
      return { address, from: `-internal: the container's address on network ${shown(name ?? "")}` };
  }
  return {
    address: "",
    from: `-internal, and the container has no IPv4 address on ${wanted === undefined ? "any network" : shown(wanted)}`,
  };
}

/** `-useIpFromLabel`: what follows the last slash, as in 10.0.0.1/24, is cut off. An empty label counts for none. */
function labelled({ labels }: Container, label: string | undefined): Found | undefined {
  const value = label === undefined ? undefined : own(labels, label);
  if (!value) return undefined;
  return { address: value.replace(/\/[^/]*$/, ""), from: `label ${shown(label ?? "")} (-useIpFromLabel)` };
}

/** With `--network container:…`: that container's address on the default bridge, and no further hop. */
function sharedAddress({ networkMode }: Container, { networked }: Circumstances): Found | undefined {
  const target = /^container:(.+)$/.exec(networkMode)?.[1];
  if (target === undefined) return undefined;
  const direct =
    networked && (networked.id.startsWith(target) || networked.name === target) ? networked : undefined;
  const address = direct?.networks.find(({ name }) => name === "bridge")?.ipv4 ?? "";
  return {
    address,
    from: `network mode ${shown(networkMode)}: that container's address on the default bridge`,
  };
}

function at(address: string): string {
  return address.includes(":") ? `[${address}]` : address || "0.0.0.0";
}
