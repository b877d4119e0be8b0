import { describe, expect, it } from "vitest";
import type { Container } from "../../src/registrator/container.ts";
import { desired } from "../../src/registrator/desired.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { container, engine, exposed, published, settings } from "./build.ts";

const host = "10.0.0.5";

function of(
  containers: readonly Partial<Container>[],
  over: Partial<RegistratorSettings> = {},
  address = host,
) {
  return desired(engine(...containers.map(container)), settings(over), address);
}

/** `id service address:port` of each instance. */
function lines(...args: Parameters<typeof of>): string[] {
  return of(...args).instances.map((i) => `${i.id} ${i.service} ${i.address}:${i.port}`);
}

describe("desired", () => {
  it("makes a complete record", () => {
    const labels = {
      SERVICE_NAME: "shop",
      SERVICE_TAGS: "blue, a\\,b",
      SERVICE_HTTP_HOST: "shop.test",
      SERVICE_WEIGHT: "7",
      SERVICE_ROLE: "master",
    };
    expect(of([{ labels }], { tags: ["prod"] }).instances).toEqual([
      {
        id: "host1:web-1:80",
        service: "shop",
        address: "10.0.0.5",
        port: 32768,
        protocol: "tcp",
        tags: ["blue", "a,b", "prod", "master"],
        meta: { http_host: "shop.test" },
        weight: 7,
        state: "ready",
        role: "master",
        node: "host1",
        container: { id: "id-web-1", name: "web-1", image: "acme/web:1.2" },
        owner: "host1/T5AP:HDRY",
      },
    ]);
  });

  describe("names", () => {
    const cases: [string, Partial<Container>, string[]][] = [
      ["image", { image: "reg:5000/a/b:3" }, ["b"]],
      ["digest", { image: "nginx@sha256:0123" }, ["nginx"]],
      [
        "bare image id",
        { image: "sha256:0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab0123" },
        ["web-1"],
      ],
      ["compose service", { labels: { "com.docker.compose.service": "front" } }, ["front"]],
      ["label", { labels: { SERVICE_NAME: "x" } }, ["x"]],
      ["variable", { env: { SERVICE_NAME: "x" } }, ["x"]],
      ["label over variable", { env: { SERVICE_NAME: "e" }, labels: { SERVICE_NAME: "l" } }, ["l"]],
      [
        "port-specific variable over a general label",
        { env: { SERVICE_80_NAME: "e80" }, labels: { SERVICE_NAME: "l" } },
        ["e80"],
      ],
      ["several ports", { ports: [published(80, 1), published(443, 2)] }, ["web-443", "web-80"]],
      [
        "several ports, one with a name",
        {
          ports: [published(80, 1), published(443, 2)],
          labels: { SERVICE_80_NAME: "site", SERVICE_NAME: "g" },
        },
        ["g-443", "site"],
      ],
      [
        "one of two ports ignored",
        { ports: [published(80, 1), published(443, 2)], labels: { SERVICE_443_IGNORE: "true" } },
        ["web"],
      ],
      ["several names", { labels: { SERVICE_NAME: "a,b" } }, ["a", "b"]],
      ["an empty name is no name", { labels: { SERVICE_NAME: "", SERVICE_80_NAME: " " } }, ["web"]],
    ];
    it.each(cases)("%s", (_name, over, names) => {
      expect(
        of([over])
          .instances.map((i) => i.service)
          .sort(),
      ).toEqual(names);
    });
  });

  describe("ids", () => {
    const two = [published(80, 1), published(443, 2)];
    const cases: [string, Partial<Container>, string[]][] = [
      [
        "udp and sctp",
        { ports: [published(53, 1), published(53, 2, "udp"), published(53, 3, "sctp")] },
        ["host1:web-1:53", "host1:web-1:53:sctp", "host1:web-1:53:udp"],
      ],
      ["given", { labels: { SERVICE_ID: "one" } }, ["one"]],
      ["given, several ports", { ports: two, labels: { SERVICE_ID: "one" } }, ["one-443", "one-80"]],
      [
        "given for a port",
        { ports: two, labels: { SERVICE_ID: "one", SERVICE_80_ID: "x" } },
        ["one-443", "x"],
      ],
      ["a further name", { labels: { SERVICE_NAME: "a,b" } }, ["host1:web-1:80", "host1:web-1:80:b"]],
    ];
    it.each(cases)("%s", (_name, over, ids) => expect(of([over]).instances.map((i) => i.id)).toEqual(ids));

    it("gives the first binding the plain id: IPv4 first, then the lowest port", () => {
      const bindings = [
        { address: "0.0.0.0", port: 8080 },
        { address: "0.0.0.0", port: 9090 },
        { address: "::", port: 8080 },
        { address: "fd00::1", port: 7070 },
      ];
      expect(lines([{ ports: [{ port: 80, protocol: "tcp", bindings }] }])).toEqual([
        "host1:web-1:80 web 10.0.0.5:8080",
        "host1:web-1:80@7070 web fd00::1:7070",
        "host1:web-1:80@9090 web 10.0.0.5:9090",
      ]);
    });

    it("refuses the later of two containers with one id and says so", () => {
      const labels = { SERVICE_ID: "same" };
      const result = of([
        { name: "old", labels },
        { name: "new", labels, created: "2026-02-01T00:00:00Z" },
      ]);
      expect(result.instances.map((i) => i.container?.name)).toEqual(["old"]);
      expect(result.remarks).toMatchObject([{ kind: "mistake", container: "new" }]);
    });
  });

  describe("addresses", () => {
    const internal = { internal: true };
    const userNet = {
      networkMode: "back",
      networks: [
        { name: "aaa", ipv4: "172.20.0.2", ipv6: "" },
        { name: "back", ipv4: "172.19.0.2", ipv6: "fd01::2" },
      ],
    };
    const cases: [string, Partial<Container>, Partial<RegistratorSettings>, string, string[]][] = [
      ["published on a user network", userNet, {}, host, ["10.0.0.5:32768"]],
      [
        "bound to one address",
        { ports: [{ port: 80, protocol: "tcp", bindings: [{ address: "10.9.9.9", port: 81 }] }] },
        {},
        host,
        ["10.9.9.9:81"],
      ],
      [
        "bound to an IPv6 address",
        { ports: [{ port: 80, protocol: "tcp", bindings: [{ address: "fd00::7", port: 81 }] }] },
        {},
        host,
        ["fd00::7:81"],
      ],
      ["IPv6 host", {}, {}, "fd00::1", ["fd00::1:32768"]],
      [
        "loopback binding",
        { ports: [{ port: 80, protocol: "tcp", bindings: [{ address: "127.0.0.1", port: 81 }] }] },
        {},
        host,
        [],
      ],
      [
        "loopback binding and host",
        { ports: [{ port: 80, protocol: "tcp", bindings: [{ address: "127.0.0.1", port: 81 }] }] },
        {},
        "127.0.0.1",
        ["127.0.0.1:81"],
      ],
      ["not published", { ports: [exposed(80)] }, {}, host, []],
      ["internal", {}, internal, host, ["172.17.0.2:80"]],
      ["internal, exposed only", { ports: [exposed(80)] }, internal, host, ["172.17.0.2:80"]],
      ["internal, own network", userNet, internal, host, ["172.19.0.2:80"]],
      ["internal, --network", userNet, { internal: true, network: "aaa" }, host, ["172.20.0.2:80"]],
      [
        "internal, label",
        { ...userNet, labels: { SERVICE_NETWORK: "aaa" } },
        internal,
        host,
        ["172.20.0.2:80"],
      ],
      ["internal by label", { labels: { SERVICE_INTERNAL: "true" } }, {}, host, ["172.17.0.2:80"]],
      ["internal, unknown network", userNet, { internal: true, network: "zzz" }, host, []],
      [
        "internal, IPv6 only",
        { networkMode: "six", networks: [{ name: "six", ipv4: "", ipv6: "fd02::2" }] },
        internal,
        host,
        ["fd02::2:80"],
      ],
      [
        "host networking",
        { networkMode: "host", networks: [{ name: "host", ipv4: "", ipv6: "" }], ports: [exposed(8080)] },
        {},
        host,
        ["10.0.0.5:8080"],
      ],
      [
        "host networking, PORTS",
        { networkMode: "host", ports: [exposed(1)], labels: { SERVICE_PORTS: "8080,9000/udp" } },
        {},
        host,
        ["10.0.0.5:8080", "10.0.0.5:9000"],
      ],
      [
        "IP and PORT by label",
        { labels: { SERVICE_IP: "10.7.7.7", SERVICE_80_PORT: "99" } },
        {},
        host,
        ["10.7.7.7:99"],
      ],
      ["IP by label may be loopback", { labels: { SERVICE_IP: "127.0.0.1" } }, {}, host, ["127.0.0.1:32768"]],
      ["unusable IP by label", { labels: { SERVICE_IP: "0.0.0.0" } }, {}, host, []],
      [
        "none",
        { networkMode: "none", networks: [{ name: "none", ipv4: "", ipv6: "" }], ports: [exposed(80)] },
        {},
        host,
        [],
      ],
    ];
    it.each(cases)("%s", (_name, over, changes, address, endpoints) => {
      const result = of([over], changes, address);
      expect(result.instances.map((i) => `${i.address}:${i.port}`)).toEqual(endpoints);
      if (endpoints.length === 0) expect(result.remarks).toHaveLength(1);
    });
  });

  it.each([
    ["true", 0],
    ["1", 0],
    ["yes", 0],
    ["false", 1],
    ["0", 1],
    ["no", 1],
    ["", 1],
  ])("SERVICE_IGNORE=%s registers %d", (value, count) => {
    expect(of([{ labels: { SERVICE_IGNORE: value } }]).instances).toHaveLength(count);
  });

  it.each([
    [{ stopping: true, paused: true }, "draining"],
    [{ paused: true, health: "healthy" }, "paused"],
    [{ health: "starting" }, "starting"],
    [{ health: "unhealthy" }, "unhealthy"],
    [{ health: "healthy" }, "ready"],
    [{}, "ready"],
  ] as const)("%o is %s", (over, state) => {
    expect(of([over]).instances[0]?.state).toBe(state);
  });

  it.each([
    [
      "SERVICE_80_WEIGHT",
      "heavy",
      "label SERVICE_80_WEIGHT=heavy: not a weight; use a whole number from 0 to 256 (1 is used)",
    ],
    [
      "SERVICE_WEIGHT",
      "257",
      "label SERVICE_WEIGHT=257: not a weight; use a whole number from 0 to 256 (1 is used)",
    ],
    ["SERVICE_PORT", "99999", "label SERVICE_PORT=99999: not a port; use a number from 1 to 65535"],
  ])("%s=%s is reported with container, key and way out", (key, value, reason) => {
    const { remarks } = of([{ labels: { [key]: value } }]);
    expect(remarks).toEqual([{ kind: "mistake", container: "web-1", port: "80", reason }]);
  });

  it("takes port and protocol specific keys, and leaves the vocabulary out of meta", () => {
    const { instances } = of([
      {
        ports: [published(53, 1), published(53, 2, "udp")],
        env: { SERVICE_ZONE: "env", SERVICE_CHECK_HTTP: "/", SERVICE_53_ZONE: "port" },
        labels: { SERVICE_53_UDP_ZONE: "udp", SERVICE_53_UDP_NAME: "dns", OTHER: "x", SERVICE_REGION: "eu" },
      },
    ]);
    expect(instances.map((i) => [i.service, i.protocol, i.meta])).toEqual([
      ["web-53", "tcp", { region: "eu", zone: "port" }],
      ["dns", "udp", { region: "eu", zone: "udp" }],
    ]);
  });

  it("--explicit registers named ports only, --select labelled containers only", () => {
    const ports = [published(80, 1), published(443, 2)];
    expect(lines([{ ports, labels: { SERVICE_80_NAME: "x" } }], { explicit: true })).toHaveLength(1);
    const select = { label: "team", value: "a" };
    expect(
      lines(
        [
          { name: "a", labels: { team: "a" } },
          { name: "b", labels: { team: "b" } },
        ],
        { select },
      ),
    ).toHaveLength(1);
  });

  it("makes equal worlds equal, whatever the order in which they are told", () => {
    const one = container({ name: "a", labels: { SERVICE_X: "1", SERVICE_Y: "2" } });
    const two = container({ name: "b", labels: { SERVICE_Y: "2", SERVICE_X: "1" } });
    const there = desired(engine(one, two), settings(), host);
    const back = desired(engine(two, one), settings(), host);
    expect(JSON.stringify(there.instances)).toBe(JSON.stringify(back.instances));
  });
});
