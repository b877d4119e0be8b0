import { isIP } from "node:net";
import { describe, expect, it } from "vitest";
import { decodeInstance, encodeInstance, type Instance } from "../../src/instance.ts";
import { isUpstreamId } from "../../src/registrator/adopt.ts";
import { compatOutcome } from "../../src/registrator/compat/rules.ts";
import { readTags } from "../../src/registrator/compat/tags.ts";
import { type Desired, desired } from "../../src/registrator/desired.ts";
import type { Container } from "../../src/registrator/docker/container.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import fc from "../property.ts";
import { container, engine, exposed, published, settings, unlisted } from "./build.ts";

/** What is registered with `-ip 10.1.2.3 --compat registrator` on a host with the address 10.9.9.9. */
function compat(
  what: Partial<Container> | readonly Partial<Container>[],
  options: Partial<RegistratorSettings> = { ip: "10.1.2.3" },
): Desired {
  const containers = [what].flat().map((over) => container(over));
  const own = settings({ compat: "registrator", ...options });
  return desired(engine(...containers), own, own.ip ?? "10.9.9.9");
}

const places = ({ instances }: Desired) =>
  instances.map(({ id, address, port }) => `${id} ${address}:${port}`);
const names = ({ instances }: Desired) => instances.map(({ service }) => service);
const reasons = ({ remarks }: Desired) => remarks.map(({ port, reason }) => `${port}: ${reason}`);
const only = (result: Desired): Instance => {
  const [instance, ...more] = result.instances;
  if (!instance || more.length > 0) throw new Error(JSON.stringify(result));
  return instance;
};

const two = [published(80, 8000), published(443, 4443)];

describe("metadata (§1.2)", () => {
  const cases: readonly (readonly [rule: string, over: Partial<Container>, service: string])[] = [
    ["a variable names", { env: { SERVICE_NAME: "e" } }, "e"],
    ["a label beats a variable", { env: { SERVICE_NAME: "e" }, labels: { SERVICE_NAME: "l" } }, "l"],
    [
      "a port's variable beats a general label",
      { env: { SERVICE_NAME: "e", SERVICE_80_NAME: "e80" }, labels: { SERVICE_NAME: "l" } },
      "e80",
    ],
    [
      "a port's label beats a port's variable",
      { env: { SERVICE_80_NAME: "e80" }, labels: { SERVICE_80_NAME: "l80" } },
      "l80",
    ],
    ["the port is compared as text", { labels: { SERVICE_080_NAME: "x", SERVICE_NAME: "n" } }, "n"],
    ["so is one with a sign", { labels: { "SERVICE_+80_NAME": "x" } }, "web"],
    ["the prefix is case-sensitive", { labels: { service_name: "x", Service_Name: "y" } }, "web"],
    ["the key is not", { labels: { SERVICE_name: "x" } }, "x"],
    [
      "of labels that differ in case the last in order counts",
      { labels: { SERVICE_name: "x", SERVICE_NAME: "y" } },
      "x",
    ],
    ["a name with commas is one name", { labels: { SERVICE_NAME: "a,b" } }, "a,b"],
    ["an empty name is none", { labels: { SERVICE_NAME: "" } }, "web"],
    ["the protocol is no part of the port", { labels: { SERVICE_80_TCP_NAME: "x" } }, "web"],
  ];
  it.each(cases)("%s", (_, over, service) => {
    expect(only(compat(over)).service).toBe(service);
  });

  it("reads another prefix when it is given", () => {
    const labels = { SERVICE_NAME: "x", REG_NAME: "y" };
    expect(only(compat({ labels }, { ip: "10.1.2.3", labelPrefix: "REG_" })).service).toBe("y");
  });

  it("shares what is said of a port number between its protocols", () => {
    const ports = [published(53, 5353), published(53, 5353, "udp")];
    expect(names(compat({ ports, labels: { SERVICE_53_NAME: "dns" } }))).toEqual(["dns", "dns"]);
  });

  it.each<[rule: string, labels: Record<string, string>, meta: Record<string, string>]>([
    ["any other key is an attribute, in lower case", { SERVICE_REGION: "us2" }, { region: "us2" }],
    ["a number alone is a key", { SERVICE_80: "x" }, { "80": "x" }],
    ["what is said of another port is none", { SERVICE_81_REGION: "us2" }, {}],
    [
      "a number that Go cannot read is no port",
      { SERVICE_99999999999999999999_A: "x" },
      { "99999999999999999999_a": "x" },
    ],
    ["a port's attribute replaces the general one", { SERVICE_A: "x", SERVICE_80_A: "y" }, { a: "y" }],
    ["an empty one too", { SERVICE_A: "x", SERVICE_80_A: "" }, { a: "" }],
    ["dots stay", { "SERVICE_A.B": "x" }, { "a.b": "x" }],
    ["an empty IGNORE is one", { SERVICE_IGNORE: "" }, { ignore: "" }],
    [
      "registrator knows no address, port, network or weight",
      {
        SERVICE_IP: "10.0.0.9",
        SERVICE_PORT: "9",
        SERVICE_NETWORK: "n",
        SERVICE_INTERNAL: "true",
        SERVICE_WEIGHT: "7",
      },
      { internal: "true", ip: "10.0.0.9", network: "n", port: "9", weight: "7" },
    ],
    [
      "nor Portolan's other keys",
      {
        SERVICE_PORTS: "1",
        SERVICE_DRAIN: "5s",
        SERVICE_DEREGISTER: "never",
        SERVICE_REQUIRE_HEALTHY: "true",
      },
      { deregister: "never", drain: "5s", ports: "1", require_healthy: "true" },
    ],
    ["nothing has no key", { SERVICE_: "x", SERVICE_80_: "y" }, {}],
  ])("%s", (_, labels, meta) => {
    const instance = only(compat({ labels }));
    expect(instance).toMatchObject({ address: "10.1.2.3", port: 32768, weight: 1 });
    expect(instance.meta).toEqual(meta);
  });

  it("hands checks on, by key, without those that are empty", () => {
    const labels = { SERVICE_CHECK_HTTP: "/", SERVICE_80_CHECK_INTERVAL: "5s", SERVICE_CHECK_TCP: "" };
    expect(only(compat({ labels }))).toMatchObject({ checks: { http: "/", interval: "5s" }, meta: {} });
    expect(only(compat({}))).not.toHaveProperty("checks");
  });

  it("takes a role as Portolan's and as an attribute, and leaves the tags alone", () => {
    expect(only(compat({ labels: { SERVICE_ROLE: "master" } }))).toMatchObject({
      role: "master",
      meta: { role: "master" },
      tags: [],
    });
    const other = compat({ labels: { SERVICE_ROLE: "frontend" } });
    expect(only(other)).toMatchObject({ meta: { role: "frontend" } });
    expect(only(other)).not.toHaveProperty("role");
    expect(other.remarks).toEqual([]);
  });
});

describe("names (§1.2)", () => {
  it.each([
    ["gliderlabs/foo:1.2", "foo"],
    ["reg:5000/a/b:3", "b"],
    ["reg:5000/a/b", "b"],
    [`nginx@sha256:${"0".repeat(64)}`, "nginx@sha256"],
    [`reg/nginx:1@sha256:${"0".repeat(64)}`, "nginx"],
    [`sha256:${"0".repeat(64)}`, "sha256"],
    ["0123456789ab", "0123456789ab"],
  ])("image %s: %s", (image, name) => {
    const labels = { "com.docker.compose.service": "front" };
    expect(only(compat({ image, labels })).service).toBe(name);
  });
});

describe("tags (§1.2)", () => {
  it.each<[list: string, tags: string[]]>([
    ["a,b,c", ["c", "b", "a"]],
    ["a, b", [" b", "a"]],
    ["a\\,b,c", ["c", "a,b"]],
    ["a\\,,b", ["b", "a,"]],
    ["\\,a", [",a"]],
    [",a,,b,", ["b", "a"]],
    ["a,a", ["a", "a"]],
    ["", []],
  ])("%j reads as %j", (list, tags) => {
    expect(readTags(list)).toEqual(tags);
  });

  it("are the container's reversed, then -tags reversed, then udp", () => {
    const over = { ports: [published(53, 53, "udp")], labels: { SERVICE_TAGS: "a,b" } };
    const options = { ip: "10.1.2.3", tags: ["x", "y"] };
    expect(only(compat(over, options)).tags).toEqual(["b", "a", "y", "x", "udp"]);
  });

  it("of a port replace the general ones", () => {
    expect(only(compat({ labels: { SERVICE_TAGS: "a", SERVICE_80_TAGS: "b" } })).tags).toEqual(["b"]);
  });

  it("say nothing of sctp", () => {
    const instance = only(compat({ ports: [published(80, 80, "sctp")] }));
    expect(instance).toMatchObject({ id: "host1:web-1:80", tags: [], protocol: "sctp" });
  });
});

describe("which ports become services (§1.3)", () => {
  it.each(["true", "false", "0", "no", " "])("IGNORE=%j ignores", (value) => {
    expect(reasons(compat({ labels: { SERVICE_IGNORE: value } }))).toEqual([
      `80: ignored by label SERVICE_IGNORE=${value}; for registrator any value but an empty one ignores`,
    ]);
  });

  it("an empty IGNORE of a port registers it after all, and keeps the group's name", () => {
    const labels = { SERVICE_IGNORE: "true", SERVICE_80_IGNORE: "" };
    expect(names(compat({ ports: two, labels }))).toEqual(["web-80"]);
  });

  it.each<[rule: string, over: Partial<Container>, names: string[]]>([
    ["one port has the plain name", {}, ["web"]],
    ["several carry their number", { ports: two }, ["web-443", "web-80"]],
    ["also under a given name", { ports: two, labels: { SERVICE_NAME: "n" } }, ["n-443", "n-80"]],
    ["a port's own name stays", { ports: two, labels: { SERVICE_80_NAME: "n" } }, ["web-443", "n"]],
    [
      "an empty name of a port: the default without number",
      { ports: two, labels: { SERVICE_80_NAME: "" } },
      ["web-443", "web"],
    ],
    ["an ignored neighbour counts", { ports: two, labels: { SERVICE_443_IGNORE: "1" } }, ["web-80"]],
    ["an unpublished neighbour does not", { ports: [published(80, 8000), exposed(443)] }, ["web"]],
    [
      "53/tcp and 53/udp count as two",
      { ports: [published(53, 53), published(53, 53, "udp")] },
      ["web-53", "web-53"],
    ],
  ])("%s", (_, over, expected) => {
    expect(names(compat(over))).toEqual(expected);
  });

  it("-explicit wants a name, from wherever; what has none counts nevertheless", () => {
    const options = { ip: "10.1.2.3", explicit: true };
    const result = compat({ ports: two, env: { SERVICE_80_NAME: "n" } }, options);
    expect(names(result)).toEqual(["n"]);
    expect(reasons(result)).toEqual(["443: -explicit, and the container gives no SERVICE_NAME"]);
    expect(names(compat({ labels: { SERVICE_NAME: "" } }, options))).toEqual([]);
    expect(
      names(compat({ ports: two, labels: { SERVICE_NAME: "n", SERVICE_443_NAME: "" } }, options)),
    ).toEqual(["n-80"]);
  });

  it("a port without a binding is none, except under -internal", () => {
    const over = { ports: [exposed(80), published(443, 4443)] };
    expect(places(compat(over))).toEqual(["host1:web-1:443 10.1.2.3:4443"]);
    expect(reasons(compat(over))).toEqual([expect.stringMatching(/^80: the port is not published/)]);
    expect(places(compat(over, { internal: true }))).toEqual([
      "host1:web-1:443 172.17.0.2:443",
      "host1:web-1:80 172.17.0.2:80",
    ]);
  });

  it("only Docker's first binding counts", () => {
    const bindings = [
      { address: "10.0.0.7", port: 8001 },
      { address: "10.0.0.8", port: 8002 },
    ];
    const over = { ports: [{ port: 80, protocol: "tcp" as const, bindings, first: bindings[1] ?? null }] };
    expect(places(compat(over, {}))).toEqual(["host1:web-1:80 10.0.0.8:8002"]);
  });

  it("under host networking every exposed port is registered", () => {
    const over = {
      networkMode: "host",
      networks: [{ name: "host", ipv4: "", ipv6: "" }],
      ports: [unlisted(80), unlisted(9000)],
    };
    expect(places(compat(over))).toEqual(["host1:web-1:80 10.1.2.3:80", "host1:web-1:9000 10.1.2.3:9000"]);
    expect(places(compat(over, {}))).toEqual([
      "host1:web-1:80 10.9.9.9:80",
      "host1:web-1:9000 10.9.9.9:9000",
    ]);
  });
});

describe("ids (§1.3)", () => {
  it("name host, container and port, and udp", () => {
    const over = { ports: [published(53, 1), published(53, 2, "udp")] };
    expect(places(compat(over))).toEqual(["host1:web-1:53 10.1.2.3:1", "host1:web-1:53:udp 10.1.2.3:2"]);
    expect(places(compat({}, { ip: "10.1.2.3", node: "n" }))).toEqual(["n:web-1:80 10.1.2.3:32768"]);
  });

  it("are replaced by ID, also for udp", () => {
    const over = { ports: [published(53, 2, "udp")], labels: { SERVICE_ID: "dns" } };
    expect(places(compat(over))).toEqual(["dns 10.1.2.3:2"]);
  });

  it.each([
    ["one ID for several ports", { ports: two, labels: { SERVICE_ID: "x" } }, "x 10.1.2.3:8000"],
    [
      "tcp and sctp of one port",
      { ports: [published(80, 1, "sctp"), published(80, 2)] },
      "host1:web-1:80 10.1.2.3:2",
    ],
  ])("%s: the later one is refused and told, where registrator overwrites", (_, over, place) => {
    const result = compat(over);
    expect(places(result)).toEqual([place]);
    expect(result.remarks).toEqual([
      expect.objectContaining({ kind: "mistake", reason: expect.stringMatching(/^id .* is taken/) }),
    ]);
  });
});

describe("addresses (§1.4)", () => {
  const bound = (address: string) => ({
    ports: [
      {
        port: 80,
        protocol: "tcp" as const,
        bindings: [{ address, port: 8000 }],
        first: { address, port: 8000 },
      },
    ],
  });
  const user = (ipv4 = "172.20.0.5") => ({
    networkMode: "back",
    networks: [{ name: "back", ipv4, ipv6: "" }],
  });
  const joins = (target: string): Partial<Container> => ({
    name: "side",
    networkMode: `container:${target}`,
    networks: [],
    ports: [unlisted(80)],
  });
  const pod = container({ name: "pod", ports: [] });

  it.each<[rule: string, over: Partial<Container>, options: Partial<RegistratorSettings>, place: string]>([
    ["0.0.0.0 is the host's address", {}, {}, "10.9.9.9:32768"],
    ["a binding's address stays", bound("10.0.0.7"), {}, "10.0.0.7:8000"],
    ["no address is any", bound(""), {}, "10.9.9.9:8000"],
    ["-ip replaces a binding's address", bound("10.0.0.7"), { ip: "10.1.2.3" }, "10.1.2.3:8000"],
    ["-ip replaces a loopback binding", bound("127.0.0.1"), { ip: "10.1.2.3" }, "10.1.2.3:8000"],
    ["-ip replaces ::", bound("::"), { ip: "10.1.2.3" }, "10.1.2.3:8000"],
    ["a link-local -ip is meant", {}, { ip: "169.254.1.2" }, "169.254.1.2:32768"],
    ["a loopback -ip is meant", {}, { ip: "127.0.0.1" }, "127.0.0.1:32768"],
    ["a user's network: the container's address with the host's port", user(), {}, "172.20.0.5:32768"],
    ["a user's network with -ip", user(), { ip: "10.1.2.3" }, "10.1.2.3:32768"],
    [
      "macvlan: the container's address and port",
      { ...user("10.7.0.3"), ports: [unlisted(80)] },
      {},
      "10.7.0.3:80",
    ],
    [
      "no network, with -ip",
      { networkMode: "none", networks: [{ name: "none", ipv4: "", ipv6: "" }], ports: [unlisted(80)] },
      { ip: "10.1.2.3" },
      "10.1.2.3:80",
    ],
    ["-internal: the container's address and port", {}, { internal: true }, "172.17.0.2:80"],
    ["-internal: -ip means nothing", {}, { internal: true, ip: "10.1.2.3" }, "172.17.0.2:80"],
    ["-internal: an exposed port will do", { ports: [exposed(80)] }, { internal: true }, "172.17.0.2:80"],
    [
      "-internal: the default bridge first",
      {
        ...user(),
        networks: [
          { name: "back", ipv4: "172.20.0.5", ipv6: "" },
          { name: "bridge", ipv4: "172.17.0.2", ipv6: "" },
        ],
      },
      { internal: true },
      "172.17.0.2:80",
    ],
    [
      "-internal: then its own network, where registrator takes any",
      {
        ...user(),
        networks: [
          { name: "a", ipv4: "172.19.0.2", ipv6: "" },
          { name: "back", ipv4: "172.20.0.5", ipv6: "" },
        ],
      },
      { internal: true },
      "172.20.0.5:80",
    ],
    [
      "-internal: else the first",
      {
        networkMode: "x",
        networks: [
          { name: "a", ipv4: "", ipv6: "fd00::2" },
          { name: "b", ipv4: "172.19.0.2", ipv6: "" },
        ],
      },
      { internal: true },
      "172.19.0.2:80",
    ],
    [
      "--network chooses",
      {
        ...user(),
        networks: [
          { name: "a", ipv4: "172.19.0.2", ipv6: "" },
          { name: "back", ipv4: "172.20.0.5", ipv6: "" },
        ],
      },
      { internal: true, network: "a" },
      "172.19.0.2:80",
    ],
    [
      "-useIpFromLabel, and the port stays",
      { labels: { L: "10.5.0.1/24" } },
      { ip: "10.1.2.3", useIpFromLabel: "L" },
      "10.5.0.1:32768",
    ],
    [
      "what follows the last slash is cut",
      { labels: { L: "fd00::5/64" } },
      { useIpFromLabel: "L" },
      "fd00::5:32768",
    ],
    [
      "-useIpFromLabel with -internal",
      { labels: { L: "10.5.0.1" } },
      { internal: true, useIpFromLabel: "L" },
      "10.5.0.1:80",
    ],
    [
      "-useIpFromLabel without the label",
      { env: { L: "10.5.0.1" } },
      { ip: "10.1.2.3", useIpFromLabel: "L" },
      "10.1.2.3:32768",
    ],
    [
      "-useIpFromLabel with an empty label",
      { labels: { L: "" } },
      { ip: "10.1.2.3", useIpFromLabel: "L" },
      "10.1.2.3:32768",
    ],
    ["SERVICE_IP means nothing", { labels: { SERVICE_IP: "10.5.0.1" } }, {}, "10.9.9.9:32768"],
  ])("%s", (_, over, options, place) => {
    const { address, port } = only(compat(over, options));
    expect(`${address}:${port}`).toBe(place);
  });

  it.each<[rule: string, over: Partial<Container>, options: Partial<RegistratorSettings>, reason: RegExp]>([
    [
      "a loopback binding without -ip",
      bound("127.0.0.1"),
      {},
      /loopback address 127\.0\.0\.1.*\(the address of the first binding\)/,
    ],
    [":: without -ip", bound("::"), {}, /unspecified address ::/],
    [
      "a network mode that names none of the networks",
      { networkMode: "0a1b" },
      {},
      /there is no address.*network mode 0a1b, for want of -ip/,
    ],
    [
      "no network without -ip",
      { networkMode: "none", networks: [{ name: "none", ipv4: "", ipv6: "" }] },
      {},
      /there is no address/,
    ],
    [
      "-internal under host networking",
      { networkMode: "host", networks: [{ name: "host", ipv4: "", ipv6: "" }] },
      { internal: true },
      /no IPv4 address on any network/,
    ],
    ["--network that it is not on", {}, { internal: true, network: "back" }, /no IPv4 address on back/],
    [
      "a label that is no address",
      { labels: { L: "host1" } },
      { useIpFromLabel: "L" },
      /"host1" is not an IP address \(label L/,
    ],
    [
      "a label that is only a mask",
      { labels: { L: "/24" } },
      { useIpFromLabel: "L" },
      /there is no address \(label L/,
    ],
    ["a loopback label", { labels: { L: "127.0.0.1" } }, { ip: "10.1.2.3", useIpFromLabel: "L" }, /loopback/],
  ])("%s is not registered, where registrator would", (_, over, options, reason) => {
    const result = compat(over, options);
    expect(result.instances).toEqual([]);
    expect(result.remarks).toEqual([
      { kind: "skipped", container: "web-1", port: "80", reason: expect.stringMatching(reason) },
    ]);
  });

  it("a host address that is not known is the reason, unless another rule gives an address", () => {
    const result = (over: Partial<Container>, options: Partial<RegistratorSettings>) =>
      desired(engine(container(over)), settings({ compat: "registrator", ...options }), {
        unknown: "no route",
      });
    expect(reasons(result({}, {}))).toEqual(["80: no route"]);
    expect(places(result({ labels: { L: "10.5.0.1" } }, { ip: "env:X", useIpFromLabel: "L" }))).toEqual([
      "host1:web-1:80 10.5.0.1:32768",
    ]);
    expect(places(result(bound("10.0.0.7"), {}))).toEqual(["host1:web-1:80 10.0.0.7:8000"]);
  });

  it("container: the other's address on the default bridge, whatever -ip and the label say", () => {
    const options = { ip: "10.1.2.3", useIpFromLabel: "L" };
    const over = { ...joins(pod.id), labels: { L: "10.5.0.1" } };
    expect(places(compat([pod, over], options))).toEqual(["host1:side:80 172.17.0.2:80"]);
  });

  it.each<[rule: string, others: readonly Partial<Container>[]]>([
    ["which is on a user's network only", [{ ...pod, ...user() }]],
    [
      "which shares a third one's network",
      [
        { ...pod, networkMode: "container:id-third", networks: [] },
        { ...pod, id: "id-third", name: "third" },
      ],
    ],
    ["which does not run", []],
  ])("container: no address from another %s", (_, others) => {
    const result = compat([...others, joins(pod.id)]);
    expect(result.instances).toEqual([]);
    const ofPort = reasons(result).filter((reason) => reason.startsWith("80:"));
    expect(ofPort).toEqual([expect.stringMatching(/there is no address \(network mode container:/)]);
  });
});

describe("what registrator left (§1.5)", () => {
  it.each<[id: string, isOurs: boolean]>([
    ["host1:web-1:80", true],
    ["host1:web_1.a:53:udp", true],
    ["host1:80", false],
    ["host2:web-1:80", false],
    ["host1:web-1:80:sctp", false],
    ["host1:-web:80", false],
    ["host1:web-1:http", false],
    ["the-one", false],
  ])("%s is of this host: %s", (id, isOurs) => {
    expect(isUpstreamId(id, ["host1", undefined])).toBe(isOurs);
  });
});

describe("origins", () => {
  const of = (over: Partial<Container>, options: Partial<RegistratorSettings>) => {
    const own = container(over);
    const outcome = compatOutcome(own, {
      settings: settings({ compat: "registrator", ...options }),
      hostAddress: options.ip ?? "10.9.9.9",
      node: "host1",
      owner: "host1/T5AP:HDRY",
      networked: own,
    });
    return outcome.registered.map(({ origins }) => origins);
  };

  it("name the rule where nothing is given", () => {
    expect(of({}, {})).toEqual([
      {
        id: "the node, the container's name and its port",
        node: "Docker's host name",
        service: "image acme/web:1.2",
        address: "the host's address",
        port: "published at 0.0.0.0:32768",
        protocol: "the container's port",
        tags: "none is given",
        weight: "registrator knows no weights",
        state: "it runs, and has no HEALTHCHECK",
      },
    ]);
  });

  it("name the label, the variable and the option", () => {
    const labels = {
      SERVICE_80_NAME: "n",
      SERVICE_ID: "i",
      SERVICE_TAGS: "a",
      SERVICE_CHECK_HTTP: "/",
      L: "10.5.0.1",
    };
    const over = {
      labels,
      env: { SERVICE_REGION: "us2", SERVICE_ROLE: "slave" },
      ports: [published(80, 8000, "udp")],
    };
    expect(of(over, { tags: ["x"], useIpFromLabel: "L" })).toEqual([
      expect.objectContaining({
        id: "label SERVICE_ID",
        service: "label SERVICE_80_NAME",
        address: "label L (-useIpFromLabel)",
        tags: "label SERVICE_TAGS, reversed; -tags, reversed; udp for its protocol",
        role: "variable SERVICE_ROLE",
        "meta.region": "variable SERVICE_REGION",
        "checks.http": "label SERVICE_CHECK_HTTP",
      }),
    ]);
  });

  it.each<[over: Partial<Container>, options: Partial<RegistratorSettings>, field: string, origin: string]>([
    [{ ports: two }, {}, "service", "image acme/web:1.2, and its port, for several ports count"],
    [{}, { ip: "10.1.2.3" }, "address", "-ip 10.1.2.3"],
    [{}, { internal: true }, "address", "-internal: the container's address on network bridge"],
    [{}, { internal: true }, "port", "the container's port"],
    [
      { networkMode: "back", networks: [{ name: "back", ipv4: "172.20.0.5", ipv6: "" }] },
      {},
      "address",
      "the container's own address under network mode back, for want of -ip",
    ],
  ])("%j %j: %s from %s", (over, options, field, origin) => {
    expect(of(over, options)[0]?.[field]).toBe(origin);
  });
});

describe("what stays Portolan's", () => {
  it.each<[over: Partial<Container>, state: string]>([
    [{}, "ready"],
    [{ paused: true }, "paused"],
    [{ health: "starting" }, "starting"],
    [{ health: "unhealthy" }, "unhealthy"],
    [{ stopping: true, paused: true }, "draining"],
  ])("the state: %j is %s", (over, state) => {
    expect(only(compat(over)).state).toBe(state);
  });

  it("--require-healthy", () => {
    const result = compat({ health: "starting" }, { ip: "10.1.2.3", requireHealthy: true });
    expect(reasons(result)).toEqual([
      "80: it is starting by its HEALTHCHECK, and --require-healthy asks for a healthy one",
    ]);
  });

  it("REQUIRE_HEALTHY", () => {
    const labels = { SERVICE_REQUIRE_HEALTHY: "true" };
    expect(compat({ health: "unhealthy", labels }).instances).toEqual([]);
    const other = { SERVICE_REQUIRE_HEALTHY: "false" };
    expect(only(compat({ health: "unhealthy", labels: other }, { requireHealthy: true })).state).toBe(
      "unhealthy",
    );
  });

  it("--name and --tags in Handlebars, over what registrator's rules give", () => {
    const options = { name: "{{service}}.{{labels.team}}", tags: ["{{node}}", "{{port}},{{protocol}}"] };
    const instance = only(compat({ labels: { team: "blue", SERVICE_TAGS: "a" } }, options));
    expect(instance).toMatchObject({ service: "web.blue", tags: ["a", "tcp", "80", "host1"] });
  });

  it("the limits of what a backend can hold", () => {
    const long = "x".repeat(65_536);
    const result = compat([
      { name: "a", labels: { SERVICE_NAME: "a\nb" } },
      { name: "b", labels: { SERVICE_ID: long } },
      {
        name: "c",
        labels: {
          SERVICE_TAGS: `ok,${long},a\u202eb`,
          SERVICE_X: long,
          SERVICE_Y: "\0",
          SERVICE___proto__: "x",
        },
      },
      { name: "d", labels: { SERVICE_CHECK_HTTP: "/\n", SERVICE_Z: "line\nbreak" } },
    ]);
    expect(result.instances).toMatchObject([
      { id: "host1:c:80", tags: ["ok"], meta: {} },
      { id: "host1:d:80", tags: [], meta: { z: "line\nbreak" } },
    ]);
    expect(result.instances.every((instance) => instance.checks === undefined)).toBe(true);
    expect(new Set(result.remarks.map(({ kind }) => kind))).toEqual(new Set(["mistake"]));
    expect(result.remarks.map(({ container: name }) => name).join("")).toBe("abcccccd");
  });

  it("the owner, the node and the container in the record", () => {
    expect(only(compat({}))).toMatchObject({
      node: "host1",
      owner: "host1/T5AP:HDRY",
      container: { id: "id-web-1", name: "web-1", image: "acme/web:1.2" },
    });
  });
});

describe("whatever a container says", () => {
  const odd = [
    "",
    " ",
    "\0",
    "a\nb",
    "\u202edcba",
    "\ud800",
    "x".repeat(65_536),
    "..",
    "false",
    "80",
    "a,b\\,c,,",
    "::1%eth0",
    "127.0.0.1",
    "010.0.0.1",
    "10.0.0.5/24",
    "master",
    "{{x}}",
    "__proto__",
    "constructor",
  ];
  const keys = [
    "NAME",
    "ID",
    "TAGS",
    "IGNORE",
    "ROLE",
    "CHECK_HTTP",
    "CHECK_",
    "X",
    "name",
    "",
    "80",
    "__proto__",
    "CONSTRUCTOR",
    "a\nb",
    "K".repeat(300),
  ];
  const names = [
    "SERVICE_",
    "SERVICE_80_",
    "SERVICE_080_",
    "SERVICE_-80_",
    "SERVICE_99999999999999999999_",
  ].flatMap((prefix) => keys.map((key) => prefix + key));
  const labels = fc.dictionary(
    fc.constantFrom(...names, "__proto__", "addr"),
    fc.oneof(fc.constantFrom(...odd), fc.string({ unit: "binary", maxLength: 30 })),
    { maxKeys: 10 },
  );
  const ports = fc.subarray([
    published(80, 32768),
    published(443, 32769),
    exposed(53),
    published(53, 5353, "udp"),
    unlisted(9000),
    published(9000, 9000, "sctp"),
  ]);
  const networks = fc.subarray([
    { name: "bridge", ipv4: "172.17.0.2", ipv6: "" },
    { name: "back", ipv4: "172.18.0.3", ipv6: "fd00::3" },
    { name: "\0", ipv4: "", ipv6: "" },
  ]);
  const mode = fc.constantFrom("default", "host", "none", "back", "container:a", "container:", "\n");
  const one = (name: string) =>
    fc
      .record({
        labels,
        env: labels,
        ports,
        networks,
        networkMode: mode,
        image: fc.constantFrom("web", "", "/", ":", "a@sha256:0", ...odd),
      })
      .map((over) => ({ ...over, name, id: `id-${name}` }));
  const options = fc.record({
    internal: fc.boolean(),
    ip: fc.constantFrom(undefined, "10.1.2.3", "127.0.0.1"),
    explicit: fc.boolean(),
    useIpFromLabel: fc.constantFrom(undefined, "addr", "__proto__"),
    tags: fc.constantFrom([], ["x", "{{labels.SERVICE_TAGS}}"]),
  });

  it("what comes out is a valid record, and each thing is told once", () => {
    fc.assert(
      fc.property(one("a"), one("b"), options, (a, b, given) => {
        const { instances, remarks } = compat([a, b], given);
        for (const { checks, ...record } of instances) {
          expect(decodeInstance(encodeInstance(record), "here")).toEqual(record);
          expect(isIP(record.address)).toBeGreaterThan(0);
          const { service, id, tags, meta } = record;
          for (const text of [service, id, ...tags, ...Object.keys({ ...meta, ...checks })]) {
            expect(text).not.toMatch(/[\p{Cc}\p{Cs}\u202e]/u);
          }
        }
        expect(new Set(instances.map(({ id }) => id)).size).toBe(instances.length);
        expect(new Set(remarks.map((remark) => JSON.stringify(remark))).size).toBe(remarks.length);
        for (const { reason } of remarks) expect(reason).not.toMatch(/[\p{Cc}\p{Cs}\u202e]/u);
      }),
      { numRuns: 300 },
    );
  });
});
