import { describe, expect, it } from "vitest";
import { parseHostAddress } from "../../src/config/parse.ts";
import {
  type HostContext,
  hostAddress,
  otherHostAddress,
} from "../../src/registrator/address/host-address.ts";
import {
  defaultRoutes,
  type HostNetwork,
  readHostNetwork,
} from "../../src/registrator/address/host-network.ts";
import { container, engine } from "./build.ts";

const network: HostNetwork = {
  hostname: "host1",
  interfaces: new Map([
    ["br-0123456789ab", ["172.18.0.1"]],
    ["docker0", ["172.17.0.1"]],
    ["eth0", ["fe80::5", "fd00::5", "172.16.0.5", "172.16.0.6"]],
    ["eth1", ["169.254.3.3", "fe80::6", "fd00::6"]],
    ["lo", ["127.0.0.1", "::1"]],
    ["veth0123456", ["fe80::7"]],
    ["wg0", ["172.30.0.5"]],
  ]),
  defaultRoutes: ["eth0"],
};

function of(
  rule: string | undefined,
  over: Partial<Omit<HostContext, "network">> = {},
  now: Partial<HostNetwork> = {},
) {
  const context = { env: {}, engine: engine(), docker: "unix:///var/run/docker.sock", ...over };
  const address = hostAddress(rule, { ...context, network: () => ({ ...network, ...now }) });
  return typeof address === "string" ? address : `unknown: ${address.unknown}`;
}

describe("hostAddress", () => {
  it.each<[string, string | undefined, Partial<HostNetwork>, string | RegExp]>([
    ["the default route", undefined, {}, "172.16.0.5"],
    ["the better of two default routes", undefined, { defaultRoutes: ["wg0", "eth0"] }, "172.30.0.5"],
    [
      "one without an address is passed by",
      undefined,
      { defaultRoutes: ["veth0123456", "eth0"] },
      "172.16.0.5",
    ],
    ["IPv6 only", undefined, { defaultRoutes: ["eth1"] }, "fd00::6"],
    ["no default route", undefined, { defaultRoutes: [] }, /no default route.*--ip/],
    ["an address", "10.1.2.3", {}, "10.1.2.3"],
    ["an IPv6 address in its usual form", "FD00:0::1", {}, "fd00::1"],
    ["an IPv4-mapped one", "::ffff:10.1.2.3", {}, "10.1.2.3"],
    ["a loopback address", "127.0.0.1", {}, "127.0.0.1"],
    ["a link-local IPv4 address", "169.254.1.1", {}, "169.254.1.1"],
    ["the unspecified address", "0.0.0.0", {}, /unspecified/],
    ["a zone", "fe80::1%eth0", {}, /zone/],
    ["interface", "interface:eth0", {}, "172.16.0.5"],
    ["interface without its link-local addresses", "interface:eth1", {}, "fd00::6"],
    ["unknown interface", "interface:eth9", {}, /no interface eth9/],
    ["cidr takes the default route's interface", "cidr:172.16.0.0/12", {}, "172.16.0.5"],
    ["then others by name, Docker's last", "cidr:172.16.0.0/12", { defaultRoutes: [] }, "172.16.0.5"],
    ["Docker's own before none", "cidr:172.17.0.0/16", {}, "172.17.0.1"],
    ["not Docker's when there is another", "cidr:172.16.0.0/12", { defaultRoutes: ["wg0"] }, "172.30.0.5"],
    ["cidr of IPv6", "cidr:fd00::/8", {}, "fd00::5"],
    ["cidr that names the link-local network", "cidr:169.254.0.0/16", {}, "169.254.3.3"],
    ["cidr of link-local IPv6 addresses, which need a zone", "cidr:fe80::/10", {}, /no interface has/],
    ["cidr without a match", "cidr:192.168.0.0/16", {}, /no interface has an address in 192.168.0.0\/16/],
  ])("%s", (_what, rule, now, expected) => {
    if (typeof expected === "string") expect(of(rule, {}, now)).toBe(expected);
    else expect(of(rule, {}, now)).toMatch(expected);
  });

  it("takes another interface than Docker's for a network that holds both", () => {
    const interfaces = new Map([
      ["docker0", ["10.1.0.1"]],
      ["zz0", ["10.2.0.1"]],
    ]);
    expect(of("cidr:10.0.0.0/8", {}, { interfaces, defaultRoutes: [] })).toBe("10.2.0.1");
  });

  it.each([
    ["10.9.9.9", "10.9.9.9"],
    [" 10.9.9.9\n", "10.9.9.9"],
    ["", /--ip env:HOST_IP: the environment has no HOST_IP, or it is empty/],
    ["010.9.9.9", /leading zero/],
  ])("env: %j", (HOST_IP, expected) => {
    if (typeof expected === "string") expect(of("env:HOST_IP", { env: { HOST_IP } })).toBe(expected);
    else expect(of("env:HOST_IP", { env: { HOST_IP } })).toMatch(expected);
  });

  it("knows that it is inside a bridged container", () => {
    const networks = [{ name: "bridge", ipv4: "172.16.0.5", ipv6: "" }];
    expect(of(undefined, { engine: engine(container({ networks })) })).toMatch(/--network host.*--ip/);
  });

  describe("a Docker that is reached over the network", () => {
    const elsewhere = { ...engine(), hostname: "host2" };
    it.each([
      ["tcp://10.9.9.9:2375", /host2, another host.*--ip/],
      ["https://docker.example:2376", /another host/],
      ["tcp://[fd00::99]:2375", /another host/],
      ["tcp://127.0.0.1:2375", "172.16.0.5"],
      ["tcp://localhost:2375", "172.16.0.5"],
      ["tcp://[::1]:2375", "172.16.0.5"],
      ["tcp://172.16.0.6:2375", "172.16.0.5"],
      ["tcp://[fd00:0::5]:2375", "172.16.0.5"],
      ["tcp://host1:2375", "172.16.0.5"],
    ])("%s", (docker, expected) => {
      if (typeof expected === "string") expect(of(undefined, { docker, engine: elsewhere })).toBe(expected);
      else expect(of(undefined, { docker, engine: elsewhere })).toMatch(expected);
    });

    it("is this host when the daemon behind a proxy has its name", () => {
      expect(of(undefined, { docker: "tcp://socket-proxy:2375" })).toBe("172.16.0.5");
    });

    it("does not matter when the address is given", () => {
      expect(of("10.1.1.1", { docker: "tcp://10.9.9.9:2375", engine: elsewhere })).toBe("10.1.1.1");
    });
  });

  it("refuses what it does not understand", () => {
    expect(() => of("eth0")).toThrow(/interface:eth0/);
    expect(() => of("cidr:10.0.0.0")).toThrow(/not a network/);
    expect(() => of("cidr:10.0.0.0/33")).toThrow(/not a network/);
  });
});

describe("otherHostAddress", () => {
  it.each<[string, string | undefined, Partial<HostNetwork>, string | undefined]>([
    ["of the default route's interface", undefined, {}, "fd00::5"],
    ["of the next default route", undefined, { defaultRoutes: ["wg0", "eth1", "eth0"] }, "fd00::6"],
    ["none where there is no default route", undefined, { defaultRoutes: [] }, undefined],
    ["none but a link-local one, which counts for none", undefined, { defaultRoutes: ["eth1"] }, undefined],
    ["of the interface that is named", "interface:eth0", {}, "fd00::5"],
    ["not of another one", "interface:wg0", {}, undefined],
    ["none beside an address", "172.16.0.5", {}, undefined],
    ["none beside a network", "cidr:172.16.0.0/12", {}, undefined],
    ["none beside a variable", "env:HOST_IP", {}, undefined],
  ])("%s", (_what, rule, now, expected) => {
    const context = {
      env: { HOST_IP: "172.16.0.5" },
      engine: engine(),
      docker: "unix:///d.sock",
      network: () => ({ ...network, ...now }),
    };
    expect(otherHostAddress(rule, hostAddress(rule, context), context)).toBe(expected);
  });

  it("is IPv4 where the rule gives IPv6", () => {
    const context = { env: {}, engine: engine(), docker: "unix:///d.sock", network: () => network };
    expect(otherHostAddress("interface:eth0", "fd00::5", context)).toBe("172.16.0.5");
  });
});

it.each(["0.0.0.0", "::", "fe80::1%eth0", "224.0.0.1", "010.0.0.1", "cidr:10.0.0.0/33", "eth0"])(
  "--ip %s is bad usage",
  (text) => expect(() => parseHostAddress(text)).toThrow(expect.objectContaining({ code: "USAGE" })),
);

describe("defaultRoutes", () => {
  const header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
  const v4 = (name: string, metric: number, flags = "0003") =>
    `${name}\t00000000\t0102000A\t${flags}\t0\t0\t${metric}\t00000000\t0\t0\t0\n`;
  const zeros = "0".repeat(32);
  const v6 = (name: string, metric: string, flags = "00000003") =>
    `${zeros} 00 ${zeros} 00 fd000000000000000000000000000001 ${metric} 00000001 00000000 ${flags} ${name}\n`;

  it.each([
    ["the lowest metric first", v4("a", 200) + v4("b", 100), "", ["b", "a"]],
    ["IPv4 before IPv6", v4("a", 200), v6("b", "00000001"), ["a", "b"]],
    ["IPv6 by its metric, which is hexadecimal", "", v6("a", "00000400") + v6("b", "00000064"), ["b", "a"]],
    ["not one that refuses", v4("a", 0, "0203"), v6("b", "00000001", "00200200"), []],
    ["not lo", "", v6("lo", "ffffffff"), []],
    ["each once", v4("a", 1) + v4("a", 2), v6("a", "00000001"), ["a"]],
    ["no table", "", "", []],
  ])("%s", (_what, ipv4, ipv6, expected) => {
    expect(defaultRoutes(ipv4 === "" ? "" : header + ipv4, ipv6)).toEqual(expected);
  });

  it("reads this machine's own", () => {
    const { interfaces, defaultRoutes: names } = readHostNetwork();
    expect(interfaces.get("lo")).toContain("127.0.0.1");
    for (const name of names) expect(interfaces.has(name)).toBe(true);
  });
});
