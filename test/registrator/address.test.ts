import { describe, expect, it } from "vitest";
import {
  type AddressPolicy,
  isLoopback,
  isUnspecified,
  placesOf,
  unusable,
} from "../../src/registrator/address/address.ts";
import { readIp } from "../../src/registrator/address/ip.ts";
import type { Container, ContainerPort } from "../../src/registrator/docker/container.ts";
import { container, exposed, published, unlisted } from "./build.ts";

describe("readIp", () => {
  it.each([
    ["10.0.0.5", "10.0.0.5", 4, "other"],
    ["0.0.0.0", "0.0.0.0", 4, "unspecified"],
    ["0.1.2.3", "0.1.2.3", 4, "unspecified"],
    ["127.8.9.1", "127.8.9.1", 4, "loopback"],
    ["169.254.0.1", "169.254.0.1", 4, "link-local"],
    ["224.0.0.1", "224.0.0.1", 4, "multicast"],
    ["255.255.255.255", "255.255.255.255", 4, "broadcast"],
    ["FD00:0:0::0001", "fd00::1", 6, "other"],
    ["::", "::", 6, "unspecified"],
    ["0:0:0:0:0:0:0:0", "::", 6, "unspecified"],
    ["::1", "::1", 6, "loopback"],
    ["0000::0001", "::1", 6, "loopback"],
    ["fe80::1", "fe80::1", 6, "link-local"],
    ["febf::1", "febf::1", 6, "link-local"],
    ["fec0::1", "fec0::1", 6, "other"],
    ["fe8::1", "fe8::1", 6, "other"],
    ["ff02::1", "ff02::1", 6, "multicast"],
    ["::ffff:10.0.0.5", "10.0.0.5", 4, "other"],
    ["::ffff:7f00:1", "127.0.0.1", 4, "loopback"],
    ["0:0:0:0:0:ffff:0:0", "0.0.0.0", 4, "unspecified"],
  ])("%s is %s", (written, text, version, kind) => {
    expect(readIp(written)).toEqual({ text, version, kind, zone: undefined });
  });

  it("tells a zone", () => {
    expect(readIp("fe80::1%eth0")).toMatchObject({ text: "fe80::1", zone: "eth0" });
  });

  it.each([
    "",
    " ",
    "010.0.0.1",
    "10.0.0",
    "127.1",
    "0x7f.0.0.1",
    "10.0.0.256",
    "1::%",
    "web",
    "[::1]",
    "::g",
    "10.0.0.1/24",
  ])("%j is none", (written) => expect(readIp(written)).toBeUndefined());
});

describe("unusable", () => {
  it.each([
    ["10.0.0.5", undefined],
    ["fd00::5", undefined],
    ["010.0.0.1", /leading zero/],
    ["web", /"web" is not an IP address$/],
    ["0.0.0.0", /unspecified.*nowhere/],
    ["::", /unspecified/],
    ["127.0.0.1", /loopback.*publish the port on another address/],
    ["::ffff:127.0.0.1", /loopback/],
    ["fe80::1", /link-local/],
    ["169.254.1.1", /link-local/],
    ["fe80::1%eth0", /zone/],
    ["fd00::1%eth0", /zone/],
    ["224.0.0.1", /multicast/],
    ["255.255.255.255", /broadcast/],
  ])("%s: %s", (address, expected) => {
    const why = unusable(address, false);
    if (expected === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(expected);
  });

  it.each([
    ["127.0.0.1", true],
    ["::1", true],
    ["169.254.1.1", true],
    ["fe80::1", false],
    ["0.0.0.0", false],
    ["fe80::1%eth0", false],
  ])("%s may be registered when somebody asks for it: %s", (address, allowed) => {
    expect(unusable(address, true) === undefined).toBe(allowed);
  });

  it.each(["", "0.0.0.0", "::", "0::0", "::ffff:0.0.0.0"])("%j is unspecified", (address) =>
    expect(isUnspecified(address)).toBe(true),
  );
  it.each(["127.0.0.1", "::1", "::ffff:127.0.0.1"])("%j is loopback", (address) =>
    expect(isLoopback(address)).toBe(true),
  );
});

describe("placesOf", () => {
  const policy = (over: Partial<AddressPolicy>): AddressPolicy => ({
    hostAddress: "10.0.0.5",
    hostAddressFrom: "--ip 10.0.0.5",
    otherHostAddress: undefined,
    internal: undefined,
    network: undefined,
    address: undefined,
    labelPrefix: "SERVICE_",
    port: undefined,
    ...over,
  });
  const bound = (...bindings: ContainerPort["bindings"]): ContainerPort => ({
    port: 80,
    protocol: "tcp",
    bindings,
    first: bindings[0] ?? null,
  });
  const at = (address: string, port = 8080) => ({ address, port });
  const back = { name: "back", ipv4: "172.19.0.2", ipv6: "fd01::2" };
  const front = { name: "front", ipv4: "172.20.0.2", ipv6: "" };
  const internal = { internal: "--internal" };
  const given = { value: "10.7.7.7", from: "label SERVICE_IP", mayBeLoopback: true };

  /** `address:port (rule; rule)` of each place, then each reason. */
  const told = (over: Partial<Container>, port: ContainerPort, rules: Partial<AddressPolicy>) => {
    const { places, refused } = placesOf(container({ ...over, ports: [port] }), port, policy(rules));
    return [
      ...places.map((place) => `${place.address}:${place.port} (${place.addressFrom}; ${place.portFrom})`),
      ...refused,
    ];
  };

  const cases: [string, Partial<Container>, ContainerPort, Partial<AddressPolicy>, (string | RegExp)[]][] = [
    ["published", {}, published(80, 8080), {}, ["10.0.0.5:8080 (--ip 10.0.0.5; published at 0.0.0.0:8080)"]],
    [
      "published, and the host is IPv6",
      {},
      published(80, 8080),
      { hostAddress: "fd00::5" },
      ["fd00::5:8080 (--ip 10.0.0.5; published at [::]:8080)"],
    ],
    [
      "published on IPv6 only",
      {},
      bound(at("::")),
      {},
      [/published at \[::\]:8080, for IPv6 only.*10.0.0.5 is IPv4.*SERVICE_IP/],
    ],
    [
      "published on IPv6 only, and the host has both",
      {},
      bound(at("::")),
      { hostAddressFrom: "--ip interface:eth0", otherHostAddress: "fd00::5" },
      ["fd00::5:8080 (--ip interface:eth0, its IPv6 address; published at [::]:8080)"],
    ],
    [
      "published on IPv4 only, and the host is IPv6 before IPv4",
      {},
      bound(at("0.0.0.0")),
      { hostAddress: "fd00::5", otherHostAddress: "10.0.0.5" },
      [/^10.0.0.5:8080 .*its IPv4 address/],
    ],
    [
      "published on both, and the host has both: one place, so that nothing counts twice",
      {},
      published(80, 8080),
      { otherHostAddress: "fd00::5" },
      ["10.0.0.5:8080 (--ip 10.0.0.5; published at 0.0.0.0:8080)"],
    ],
    [
      "published on both at different ports, and the host has both",
      {},
      bound(at("0.0.0.0", 1), at("::", 2)),
      { otherHostAddress: "fd00::5" },
      [/^10.0.0.5:1 /],
    ],
    [
      "published on two ports of IPv6 only",
      {},
      bound(at("::", 1), at("::", 2)),
      { otherHostAddress: "fd00::5" },
      [/^fd00::5:1 /, /^fd00::5:2 /],
    ],
    [
      "published on IPv6 only, and a given address",
      {},
      bound(at("::")),
      { otherHostAddress: "fd00::5", address: given },
      [/^10.7.7.7:8080 /],
    ],
    [
      "published on IPv4 only, and the host is IPv6",
      {},
      bound(at("0.0.0.0")),
      { hostAddress: "fd00::5" },
      [/for IPv4 only/],
    ],
    [
      "published on IPv6 only, and the host is IPv6",
      {},
      bound(at("::")),
      { hostAddress: "fd00::5" },
      [/^fd00::5:8080 /],
    ],
    ["an unnamed binding is for both", {}, bound(at("")), { hostAddress: "fd00::5" }, [/^fd00::5:8080 /]],
    [
      "published on both, at different ports",
      {},
      bound(at("0.0.0.0", 1), at("::", 2)),
      {},
      ["10.0.0.5:1 (--ip 10.0.0.5; published at 0.0.0.0:1)"],
    ],
    [
      "two host ports for one port",
      {},
      bound(at("0.0.0.0", 1), at("0.0.0.0", 2)),
      {},
      [/^10.0.0.5:1 /, /^10.0.0.5:2 /],
    ],
    [
      "dual stack, an address of each",
      {},
      bound(at("10.9.9.9"), at("fd00::9")),
      {},
      [/^10.9.9.9:8080 /, /^fd00::9:8080 /],
    ],
    ["an IPv4-mapped binding", {}, bound(at("::ffff:10.9.9.9")), {}, [/^10.9.9.9:8080 /]],
    [
      "one binding on loopback",
      {},
      bound(at("127.0.0.1"), at("10.9.9.9")),
      {},
      [/^10.9.9.9:8080 /, /loopback address 127.0.0.1/],
    ],
    [
      "a binding on loopback and a loopback host",
      {},
      bound(at("127.0.0.2")),
      { hostAddress: "127.0.0.1" },
      [/^127.0.0.2:8080 /],
    ],
    ["a binding on a link-local address", {}, bound(at("fe80::1%eth0")), {}, [/zone/]],
    ["a link-local host", {}, published(80, 8080), { hostAddress: "169.254.1.1" }, [/^169.254.1.1:8080 /]],
    ["an unknown host", {}, published(80, 8080), { hostAddress: { unknown: "no route" } }, ["no route"]],
    [
      "an unknown host, and a binding with an address",
      {},
      bound(at("10.9.9.9")),
      { hostAddress: { unknown: "no route" } },
      [/^10.9.9.9:8080 /],
    ],
    [
      "an unknown host, and a given address",
      {},
      published(80, 8080),
      { hostAddress: { unknown: "no route" }, address: given },
      ["10.7.7.7:8080 (label SERVICE_IP; published at 0.0.0.0:8080)"],
    ],
    ["not published", {}, exposed(80), {}, [/not published.*-p.*--internal.*SERVICE_INTERNAL/]],
    ["not published, and a given address", {}, exposed(80), { address: given }, [/not published/]],
    [
      "not published, and address and port given",
      {},
      exposed(80),
      { address: given, port: { number: 99, from: "label SERVICE_PORT" } },
      ["10.7.7.7:99 (label SERVICE_IP; label SERVICE_PORT)"],
    ],
    [
      "a given port",
      {},
      published(80, 8080),
      { port: { number: 99, from: "label SERVICE_PORT" } },
      ["10.0.0.5:99 (--ip 10.0.0.5; label SERVICE_PORT)"],
    ],
    [
      "a given port for two bindings is one place",
      {},
      bound(at("0.0.0.0", 1), at("0.0.0.0", 2)),
      { port: { number: 99, from: "x" } },
      [/^10.0.0.5:99 /],
    ],
    [
      "a loopback binding with a given address",
      {},
      bound(at("127.0.0.1")),
      { address: given },
      [/^10.7.7.7:8080 /],
    ],
    [
      "a given loopback address",
      {},
      published(80, 8080),
      { address: { ...given, value: "127.0.0.1" } },
      [/^127.0.0.1:8080 /],
    ],
    [
      "a loopback address of another label",
      {},
      published(80, 8080),
      { address: { ...given, value: "127.0.0.1", mayBeLoopback: false } },
      [/^label SERVICE_IP: the loopback/],
    ],
    [
      "a given text",
      {},
      published(80, 8080),
      { address: { ...given, value: "web" } },
      ['label SERVICE_IP: "web" is not an IP address'],
    ],
    [
      "host",
      { networkMode: "host" },
      unlisted(80),
      {},
      ["10.0.0.5:80 (--ip 10.0.0.5; the container's port)"],
    ],
    ["host with --internal", { networkMode: "host" }, unlisted(80), internal, [/^10.0.0.5:80 /]],
    ["none", { networkMode: "none", networks: [] }, unlisted(80), {}, [/--network none/]],
    [
      "none with --internal",
      { networkMode: "none", networks: [] },
      unlisted(80),
      internal,
      [/--network none/],
    ],
    [
      "internal",
      {},
      exposed(80),
      internal,
      ["172.17.0.2:80 (network bridge (--internal); the container's port)"],
    ],
    [
      "internal, the network of its mode",
      { networkMode: "front", networks: [back, front] },
      exposed(80),
      internal,
      [/^172.20.0.2:80 /],
    ],
    [
      "internal, joined later only: the first by name",
      { networks: [back, front] },
      exposed(80),
      internal,
      [/^172.19.0.2:80 \(network back/],
    ],
    [
      "internal, the first that has an address",
      { networks: [{ name: "a", ipv4: "", ipv6: "" }, front] },
      exposed(80),
      internal,
      [/^172.20.0.2:80 /],
    ],
    [
      "internal, a named network",
      { networks: [back, front] },
      exposed(80),
      { ...internal, network: { value: "front", from: "--network" } },
      ["172.20.0.2:80 (network front (--internal, --network); the container's port)"],
    ],
    [
      "internal, an unknown network",
      { networks: [back, front] },
      exposed(80),
      { ...internal, network: { value: "x", from: "--network" } },
      ["--network: it is not on network x; it is on: back, front"],
    ],
    ["internal, no network", { networks: [] }, exposed(80), internal, ["it has no network; it is on: none"]],
    [
      "internal, IPv6 only",
      { networks: [{ name: "six", ipv4: "", ipv6: "fd02::2" }] },
      exposed(80),
      internal,
      [/^fd02::2:80 /],
    ],
    ["internal, both", { networks: [back] }, exposed(80), internal, [/^172.19.0.2:80 /]],
    [
      "internal, both, and the host is IPv6",
      { networks: [back] },
      exposed(80),
      { ...internal, hostAddress: "fd00::5" },
      [/^fd01::2:80 \(network back/],
    ],
    [
      "internal, both, and the host is unknown",
      { networks: [back] },
      exposed(80),
      { ...internal, hostAddress: { unknown: "no route" } },
      [/^172.19.0.2:80 /],
    ],
    [
      "internal, IPv4 only, and the host is IPv6",
      { networks: [front] },
      exposed(80),
      { ...internal, hostAddress: "fd00::5" },
      [/^172.20.0.2:80 /],
    ],
    [
      "internal, no address",
      { networks: [{ name: "x", ipv4: "", ipv6: "" }] },
      exposed(80),
      internal,
      ["the container has no address on network x"],
    ],
    [
      "internal, a given address",
      { networks: [] },
      exposed(80),
      { ...internal, address: given },
      [/^10.7.7.7:80 /],
    ],
    [
      "macvlan and ipvlan, which list no port",
      { networkMode: "lan", networks: [{ ...front, name: "lan" }] },
      unlisted(80),
      {},
      ["172.20.0.2:80 (network lan (network lan publishes no ports); the container's port)"],
    ],
    [
      "a network that lists the port as not published",
      { networkMode: "back", networks: [back] },
      exposed(80),
      {},
      [/not published/],
    ],
    [
      "published on a user network",
      { networkMode: "back", networks: [back] },
      published(80, 8080),
      {},
      [/^10.0.0.5:8080 /],
    ],
  ];
  it.each(cases)("%s", (_what, over, port, rules, expected) => {
    const lines = told(over, port, rules);
    expect(lines).toHaveLength(expected.length);
    for (const [index, one] of expected.entries()) {
      if (typeof one === "string") expect(lines[index]).toBe(one);
      else expect(lines[index]).toMatch(one);
    }
  });
});
