import { describe, expect, it } from "vitest";
import { desired, outcomesOf } from "../../src/registrator/desired.ts";
import type { Container } from "../../src/registrator/docker/container.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { container, engine, exposed, published, settings, unlisted } from "./build.ts";

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
      ["an empty name hides no other", { labels: { SERVICE_NAME: "g", SERVICE_80_NAME: "" } }, ["g"]],
      ["a name that cannot be used hides no other", { labels: { SERVICE_NAME: "a\nb,ok" } }, ["ok"]],
      [
        "nor that of the container",
        { labels: { SERVICE_NAME: "g", SERVICE_80_NAME: "x".repeat(201) } },
        ["g"],
      ],
      ["nor the image's", { labels: { SERVICE_NAME: "\u202eevil" } }, ["web"]],
      ["a name is any text", { labels: { SERVICE_NAME: "Größe 1/%2F" } }, ["Größe 1/%2F"]],
      ["but no path that leads elsewhere", { labels: { SERVICE_NAME: "../x,a//b,..,/,ok" } }, ["ok"]],
      ["the same name twice", { labels: { SERVICE_NAME: "a,a" } }, ["a"]],
      [
        "several names with several ports",
        { ports: [published(80, 1), published(443, 2)], labels: { SERVICE_NAME: "a,b" } },
        ["a-443", "a-80", "b-443", "b-80"],
      ],
      [
        "for a protocol",
        {
          ports: [published(53, 1), published(53, 2, "udp")],
          labels: { SERVICE_53_UDP_NAME: "dns", SERVICE_53_NAME: "dns-tcp" },
        },
        ["dns", "dns-tcp"],
      ],
      ["an image without a name", { image: "reg/a/:" }, ["web-1"]],
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
      ["a further name of a given one", { labels: { SERVICE_NAME: "a,b", SERVICE_ID: "x" } }, ["x", "x:b"]],
      ["blank", { labels: { SERVICE_ID: " ", SERVICE_80_ID: "" } }, ["host1:web-1:80"]],
      ["unusable", { labels: { SERVICE_ID: "one", SERVICE_80_ID: "a\nb" } }, ["one"]],
      [
        "for a port with two protocols",
        { ports: [published(53, 1), published(53, 2, "udp")], labels: { SERVICE_53_ID: "dns" } },
        ["dns", "dns:udp"],
      ],
      [
        "for each protocol",
        {
          ports: [published(53, 1), published(53, 2, "udp")],
          labels: { SERVICE_53_ID: "t", SERVICE_53_UDP_ID: "u" },
        },
        ["t", "u"],
      ],
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

    it("refuses the later of two ports with one id and says so", () => {
      const result = of([{ ports: two, labels: { SERVICE_80_ID: "x", SERVICE_443_ID: "x" } }]);
      expect(result.instances.map((i) => i.port)).toEqual([1]);
      const reason = expect.stringMatching(
        /^id x \(label SERVICE_443_ID\) is taken by port 80 .*443 .* not registered.*its own id/,
      );
      expect(result.remarks).toEqual([{ kind: "mistake", code: "LABEL", container: "web-1", reason }]);
    });

    it("refuses an id that is too long for a key and says so", () => {
      const result = of([{ name: "n".repeat(250) }]);
      expect(result.instances).toEqual([]);
      expect(result.remarks).toMatchObject([
        { kind: "mistake", reason: expect.stringMatching(/SERVICE_ID/) },
      ]);
    });

    it("refuses the later of two containers with one id and says so", () => {
      const labels = { SERVICE_ID: "same" };
      const result = of([
        { name: "old", labels },
        { name: "new", labels, created: "2026-02-01T00:00:00Z" },
      ]);
      expect(result.instances.map((i) => i.container?.name)).toEqual(["old"]);
      expect(result.remarks).toMatchObject([{ kind: "mistake", code: "ID_TAKEN", container: "new" }]);
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
        "host networking, PORTS twice the same",
        { networkMode: "host", ports: [], labels: { SERVICE_PORTS: "80,80, 80/tcp" } },
        {},
        host,
        ["10.0.0.5:80"],
      ],
      [
        "internal by a label that names the network",
        { ...userNet, labels: { SERVICE_NETWORK: "aaa" } },
        {},
        host,
        ["172.20.0.2:80"],
      ],
      [
        "not internal by label",
        { ...userNet, labels: { SERVICE_INTERNAL: "no", SERVICE_NETWORK: "aaa" } },
        internal,
        host,
        ["10.0.0.5:32768"],
      ],
      [
        "internal for one port",
        { ports: [exposed(80), published(443, 2)], labels: { SERVICE_80_INTERNAL: "1" } },
        {},
        host,
        ["10.0.0.5:2", "172.17.0.2:80"],
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

  it("registers what can be used of SERVICE_PORTS, and the exposed ports when nothing can", () => {
    const over = { networkMode: "host", ports: [unlisted(8080)] };
    const some = of([{ ...over, labels: { SERVICE_PORTS: "x,9000/udp,70000" } }]);
    expect(some.instances.map((i) => i.port)).toEqual([9000]);
    expect(some.remarks.map(({ reason }) => reason)).toEqual([
      'label SERVICE_PORTS=x,9000/udp,70000: "x" is not a port; write e.g. 8080,9000/udp (it is left out)',
      'label SERVICE_PORTS=x,9000/udp,70000: "70000" is not a port; write e.g. 8080,9000/udp (it is left out)',
    ]);
    const none = of([{ ...over, labels: { SERVICE_PORTS: "http" } }]);
    expect(none.instances.map((i) => i.port)).toEqual([8080]);
  });

  it("says that a container has no port", () => {
    expect(of([{ ports: [] }]).remarks).toEqual([
      { kind: "skipped", container: "web-1", reason: expect.stringMatching(/no port.*SERVICE_PORTS/) },
    ]);
  });

  describe("--network container:…", () => {
    const vpn = { name: "vpn", id: "0123456789abcdef", ports: [published(80, 7080), exposed(81)] };
    const side = { name: "side", id: "fedc", ports: [unlisted(80)], networks: [] };

    it.each([
      ["by id", ["container:0123456789abcdef"]],
      ["by the beginning of its id", ["container:012345"]],
      ["by name", ["container:vpn"]],
      ["over several hops", ["container:hop", "container:vpn"]],
    ])("%s: the address and the bindings are those of the container at the end", (_what, modes) => {
      const [mode = "", next] = modes;
      const hop = { name: "hop", id: "aaaa", ports: [], networks: [], networkMode: next ?? "none" };
      const { instances } = of([{ ...side, networkMode: mode }, hop, vpn]);
      const mine = instances.filter((i) => i.container?.name === "side");
      expect(mine.map((i) => `${i.id} ${i.address}:${i.port}`)).toEqual(["host1:side:80 10.0.0.5:7080"]);
    });

    it("registers that one's own address with --internal", () => {
      const { instances } = of([{ ...side, networkMode: "container:vpn" }, vpn], { internal: true });
      expect(instances.find((i) => i.container?.name === "side")).toMatchObject({
        address: "172.17.0.2",
        port: 80,
      });
    });

    it("takes PORTS for an image that exposes nothing", () => {
      const labels = { SERVICE_PORTS: "80" };
      const { instances } = of([{ ...side, ports: [], labels, networkMode: "container:vpn" }, vpn]);
      expect(instances.find((i) => i.container?.name === "side")?.port).toBe(7080);
    });

    it.each([
      ["does not run", "container:gone"],
      ["is it itself", "container:side"],
      ["goes round in a circle", "container:other"],
      ["is ambiguous", "container:0"],
    ])("is told when that one %s", (_what, networkMode) => {
      const other = { name: "other", id: "0bbb", ports: [], networkMode: "container:side" };
      const { instances, remarks } = of([{ ...side, networkMode }, other, vpn]);
      expect(instances.some((i) => i.container?.name === "side")).toBe(false);
      expect(remarks).toContainEqual({
        kind: "skipped",
        container: "side",
        port: "80",
        reason: expect.stringMatching(/network of container .* does not run here/),
      });
    });

    it("follows that one's host networking", () => {
      const { instances } = of([
        { ...side, networkMode: "container:vpn" },
        { ...vpn, networkMode: "host", ports: [] },
      ]);
      expect(instances.map((i) => `${i.address}:${i.port}`)).toEqual(["10.0.0.5:80"]);
    });
  });

  describe("--use-ip-from-label", () => {
    const useIpFromLabel = "addr";
    it.each([
      ["10.1.1.1", ["10.1.1.1:32768"]],
      ["10.1.1.1/24", ["10.1.1.1:32768"]],
      [" fd00::1/64 ", ["fd00::1:32768"]],
      ["a/b", []],
      ["127.0.0.1", []],
    ])("%j", (addr, expected) => {
      const { instances, remarks } = of([{ labels: { addr } }], { useIpFromLabel });
      expect(instances.map((i) => `${i.address}:${i.port}`)).toEqual(expected);
      if (expected.length === 0) expect(remarks[0]?.reason).toContain("label addr (--use-ip-from-label)");
    });

    it("says that the label is missing, and takes the usual address", () => {
      const { instances, remarks } = of([{}], { useIpFromLabel });
      expect(instances.map((i) => i.address)).toEqual([host]);
      expect(remarks).toEqual([
        {
          kind: "mistake",
          code: "LABEL",
          container: "web-1",
          reason: expect.stringMatching(/addr.*no such label/),
        },
      ]);
    });

    it("counts with container addresses too, and less than SERVICE_IP", () => {
      const labels = { addr: "10.1.1.1" };
      expect(lines([{ labels }], { useIpFromLabel, internal: true })).toEqual([
        "host1:web-1:80 web 10.1.1.1:80",
      ]);
      const both = { ...labels, SERVICE_IP: "10.2.2.2" };
      expect(lines([{ labels: both }], { useIpFromLabel })).toEqual(["host1:web-1:80 web 10.2.2.2:32768"]);
    });
  });

  describe("--require-healthy", () => {
    const requireHealthy = true;
    it.each([
      [{ health: "starting" }, {}, 0],
      [{ health: "unhealthy" }, {}, 0],
      [{ health: "healthy" }, {}, 1],
      [{ health: "none" }, {}, 1],
      [{ health: "starting" }, { SERVICE_REQUIRE_HEALTHY: "false" }, 1],
      [{ health: "starting" }, { SERVICE_80_REQUIRE_HEALTHY: "0" }, 1],
    ] as const)("%o %o registers %d", (over, labels, count) => {
      const { instances, remarks } = of([{ ...over, labels }], { requireHealthy });
      expect(instances).toHaveLength(count);
      expect(remarks).toHaveLength(1 - count);
      if (count === 0) expect(remarks[0]).toMatchObject({ kind: "skipped", port: "80" });
    });

    it("is asked for by a label", () => {
      const labels = { SERVICE_REQUIRE_HEALTHY: "true" };
      expect(of([{ health: "unhealthy", labels }]).remarks[0]?.reason).toBe(
        "it is unhealthy by its HEALTHCHECK, and label SERVICE_REQUIRE_HEALTHY=true asks for a healthy one",
      );
    });
  });

  it("collects checks, and takes back with an empty value what is said for all ports", () => {
    const { instances } = of([
      {
        ports: [published(80, 1), published(443, 2)],
        labels: {
          SERVICE_CHECK_HTTP: "/health",
          SERVICE_CHECK_INTERVAL: "5s",
          SERVICE_443_CHECK_HTTP: "",
          SERVICE_443_CHECK_TCP: "true",
        },
      },
    ]);
    expect(instances.map((i) => [i.port, i.checks, i.meta])).toEqual([
      [2, { interval: "5s", tcp: "true" }, {}],
      [1, { http: "/health", interval: "5s" }, {}],
    ]);
  });

  describe("tags and meta", () => {
    it("leaves out what cannot be used, tells it, and keeps the rest", () => {
      const labels = {
        SERVICE_TAGS: `ok,${"x".repeat(256)},a\nb`,
        SERVICE_A: "x".repeat(4097),
        SERVICE_B: "two\nlines",
        SERVICE___PROTO__: "x",
        SERVICE_CONSTRUCTOR: "c",
      };
      const { instances, remarks } = of([{ labels }]);
      expect(instances[0]?.tags).toEqual(["ok"]);
      expect(instances[0]?.meta).toEqual({ b: "two\nlines", constructor: "c" });
      expect(remarks.map(({ reason }) => reason.replace(/=.*?:/s, ":"))).toEqual([
        "label SERVICE_TAGS: a tag is longer than 255 bytes; change it (it is left out)",
        "label SERVICE_TAGS: a tag holds a line break; change it (it is left out)",
        "label SERVICE___PROTO__: its key is a name that programs reserve; rename it (it is left out)",
        "label SERVICE_A: is longer than 4096 bytes; change it (it is left out)",
      ]);
    });

    it("bounds their number and their size", () => {
      const SERVICE_TAGS = Array.from({ length: 150 }, (_, n) => `t${n}`).join(",");
      const meta = Array.from({ length: 40 }, (_, n) => [`SERVICE_M${n + 10}`, "x".repeat(4000)]);
      const { instances, remarks } = of([{ labels: { SERVICE_TAGS, ...Object.fromEntries(meta) } }]);
      expect(instances[0]?.tags).toHaveLength(100);
      expect(Object.keys(instances[0]?.meta ?? {})).toHaveLength(16);
      expect(remarks).toHaveLength(25);
    });
  });

  describe("templates in --name and --tags", () => {
    const web = { labels: { team: "a", "com.example.tier": "front" }, env: { SERVICE_X: "y" } };
    const tagsOf = (tags: readonly string[], over: Partial<Container> = {}) =>
      of([{ ...web, ...over }], { tags });

    it.each([
      ["plain", "plain"],
      ["{{container.name}}", "web-1"],
      ["{{container.id}}", "id-web-1"],
      ["{{image}}", "acme/web:1.2"],
      ["{{node}}", "host1"],
      ["{{port}}", "80"],
      ["{{protocol}}", "tcp"],
      ["{{service}}", "web"],
      ["{{labels.team}}", "a"],
      ["{{lookup labels 'com.example.tier'}}", "front"],
      ["{{env.SERVICE_X}}", "y"],
      ["{{default labels.nope 'none'}}", "none"],
      ["{{#if (eq labels.team 'a')}}yes{{else}}no{{/if}}", "yes"],
      ["{{toUpper (replace image '/' '-')}}", "ACME-WEB:1.2"],
      ["{{#each (split 'x y' ' ')}}{{this}}.{{/each}}", "x.y."],
    ])("%s is %s", (template, expected) => {
      expect(tagsOf([template]).instances[0]?.tags).toEqual([expected]);
      expect(of([web], { name: template }).instances[0]?.service).toBe(expected);
    });

    it("gives several tags, or none", () => {
      const labels = { list: "x, y,,z" };
      expect(
        tagsOf(["{{labels.list}}", "{{#if labels.nope}}n{{/if}}"], { labels }).instances[0]?.tags,
      ).toEqual(["x", "y", "z"]);
    });

    it.each([
      ["{{labels.nope}}", /^--tags .*:1:1: \{\{labels.nope\}\} has no value.*left out/],
      ["{{contaner}}", /did you mean "container"/],
      ["{{labels}}", /is an object/],
      ["{{split image ''}}", /separator/],
      ["{{labels.constructor}}", /has no value/],
      [
        "{{#each (split 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' 'a')}}{{#each (split 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' 'a')}}{{#each (split 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' 'a')}}{{#each (split 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' 'a')}}{{/each}}{{/each}}{{/each}}{{/each}}",
        /steps/,
      ],
      ["{{labels.odd}}", /which holds the character U\+0000.*left out/],
    ])("an error concerns that container only: %s", (template, reason) => {
      const odd = { name: "odd", labels: { odd: "a\0b" } };
      const { instances, remarks } = of([odd, { name: "even" }], { tags: ["kept", template] });
      expect(instances.map((i) => [i.container?.name, i.tags])).toEqual([
        ["even", ["kept"]],
        ["odd", ["kept"]],
      ]);
      expect(remarks).toContainEqual({
        kind: "mistake",
        code: "LABEL",
        container: "odd",
        port: "80",
        reason: expect.stringMatching(reason),
      });
    });

    it.each([
      ["{{#if labels.nope}}x{{/if}}", /gives an empty name.*web, by the rules/],
      ["{{labels.nope}}", /has no value.*web, by the rules/],
      ["{{labels.odd}}", /holds a line break/],
      ["{{replace 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' 'a' 'bbbbbbbbbb'}}", /longer than 200 bytes/],
    ])("a name that cannot be used leaves the rules' name: %s", (name, reason) => {
      const { instances, remarks } = of([{ labels: { odd: "a\nb" } }], { name });
      expect(instances[0]?.service).toBe("web");
      expect(remarks).toEqual([
        {
          kind: "mistake",
          code: "LABEL",
          container: "web-1",
          port: "80",
          reason: expect.stringMatching(reason),
        },
      ]);
    });

    it("gets each of several names, and gives one name once", () => {
      const labels = { SERVICE_NAME: "a,b" };
      expect(lines([{ labels }], { name: "{{service}}-{{port}}" })).toEqual([
        "host1:web-1:80 a-80 10.0.0.5:32768",
        "host1:web-1:80:b-80 b-80 10.0.0.5:32768",
      ]);
      expect(lines([{ labels }], { name: "all" })).toEqual(["host1:web-1:80 all 10.0.0.5:32768"]);
    });

    it.each([
      "{{service 'web'}}",
      "{{env 'HOME'}}",
      "{{file '/etc/passwd'}}",
      "{{> x}}",
      "{{hostport this}}",
      "{{httpGet 'x'}}",
    ])("%s reaches nothing", (template) => {
      const { instances, remarks } = tagsOf([template]);
      expect(instances[0]?.tags).toEqual([]);
      expect(remarks[0]?.reason).toMatch(/unknown helper|no partials/);
    });
  });

  describe("origins", () => {
    it("say in words where each field is from", () => {
      const labels = {
        SERVICE_NAME: "shop",
        SERVICE_80_TAGS: "blue",
        SERVICE_HTTP_HOST: "shop.test",
        SERVICE_CHECK_HTTP: "/",
      };
      const world = engine(container({ labels, env: { SERVICE_ROLE: "slave" } }));
      const [outcome] = outcomesOf(
        world,
        settings({ ip: "interface:eth0", tags: ["prod"], node: "n" }),
        host,
      ).values();
      expect(outcome?.registered[0]?.origins).toEqual({
        service: "label SERVICE_NAME",
        id: "the node, the container's name and its port",
        address: "--ip interface:eth0",
        port: "published at 0.0.0.0:32768",
        protocol: "port 80 of the container",
        tags: "label SERVICE_80_TAGS, --tags, the role",
        weight: "the default",
        state: "it runs, and has no HEALTHCHECK",
        role: "variable SERVICE_ROLE",
        node: "--node",
        "meta.http_host": "label SERVICE_HTTP_HOST",
        "checks.http": "label SERVICE_CHECK_HTTP",
      });
    });

    it("say how a role is found that the rules do not give", () => {
      const rolesOf = (role: string) => {
        const world = engine(container({ labels: { SERVICE_ROLE: role } }));
        return [...outcomesOf(world, settings(), host).values()][0]?.registered[0];
      };
      const asked = rolesOf("redis");
      expect(asked?.roleSource).toEqual({ by: "redis" });
      expect(asked?.instance).not.toHaveProperty("role");
      expect(asked?.instance.tags).toEqual([]);
      expect(asked?.origins.role).toBe("label SERVICE_ROLE: as the server itself says when it is asked");
      expect(rolesOf("elect")?.origins.role).toBe("label SERVICE_ROLE: by election");
      expect(rolesOf("master")).not.toHaveProperty("roleSource");
      expect(rolesOf("leader")).not.toHaveProperty("roleSource");
    });

    it("are there for every field of every instance", () => {
      const ports = [published(80, 1), published(443, 2)];
      const labels = { SERVICE_NAME: "a,b", SERVICE_X: "1", SERVICE_ROLE: "master", SERVICE_CHECK_TCP: "1" };
      const [outcome] = outcomesOf(engine(container({ ports, labels })), settings(), host).values();
      for (const { instance, origins } of outcome?.registered ?? []) {
        const { meta, checks = {}, container: _container, owner: _owner, ...fields } = instance;
        const names = [
          ...Object.keys(fields),
          ...Object.keys(meta).map((key) => `meta.${key}`),
          ...Object.keys(checks).map((key) => `checks.${key}`),
        ];
        expect(Object.keys(origins).sort()).toEqual(names.sort());
        expect(Object.values(origins)).not.toContain("");
      }
    });
  });

  it("selects by a label of the container's own", () => {
    expect(lines([{}], { select: { label: "constructor", value: undefined } })).toEqual([]);
  });

  it("computes anew only what has changed", () => {
    const [one, two, three] = [container({ name: "a" }), container({ name: "b" }), container({ name: "c" })];
    const given = settings();
    const before = outcomesOf(engine(one, two, three), given, host);
    const changed = container({ name: "b", paused: true });
    const after = outcomesOf(engine(one, changed, three), given, host);
    const same = [one, two, three].map(({ id }) => before.get(id) === after.get(id));
    expect(same).toEqual([true, false, true]);
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
      "SERVICE_PORT",
      "99999",
      "label SERVICE_PORT=99999: not a port; use a number from 1 to 65535 (the port is not registered)",
    ],
  ])("%s=%s is reported with container, key and way out", (key, value, reason) => {
    const { remarks } = of([{ labels: { [key]: value } }]);
    expect(remarks).toEqual([{ kind: "mistake", code: "LABEL", container: "web-1", port: "80", reason }]);
  });

  it("reports once what was given for all ports", () => {
    const ports = [published(80, 1), published(443, 2)];
    const { remarks } = of([{ ports, labels: { SERVICE_WEIGHT: "257" } }]);
    const reason = "label SERVICE_WEIGHT=257: not a weight; use a whole number from 0 to 256 (1 is used)";
    expect(remarks).toEqual([{ kind: "mistake", code: "LABEL", container: "web-1", reason }]);
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

  it("--explicit takes the general name where the one for the port is empty", () => {
    const labels = { SERVICE_NAME: "shop", SERVICE_80_NAME: "" };
    expect(lines([{ labels }], { explicit: true })).toEqual(["host1:web-1:80 shop 10.0.0.5:32768"]);
    expect(of([{ labels: { SERVICE_80_NAME: "" } }], { explicit: true }).remarks).toMatchObject([
      { kind: "skipped", reason: "--explicit, and the container gives no SERVICE_NAME" },
    ]);
  });

  it("names the labels in its hints as they are read", () => {
    const { remarks } = of([{ ports: [exposed(80)] }], { labelPrefix: "portolan." });
    expect(remarks[0]?.reason).toContain("portolan.INTERNAL");
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
