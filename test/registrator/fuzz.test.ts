import { isIP } from "node:net";
import { describe, expect, it } from "vitest";
import { decodeInstance, encodeInstance, encodeSegment } from "../../src/instance.ts";
import { desired } from "../../src/registrator/desired.ts";
import type { Container, ContainerPort } from "../../src/registrator/docker/container.ts";
import { limits } from "../../src/registrator/rules/limits.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import fc from "../property.ts";
import { container, engine, exposed, published, settings } from "./build.ts";

/** Values that broke some program once, or look as if they could. */
const values = [
  "",
  " ",
  "\0",
  "a\nb",
  "a\r\nb: c",
  "\x1b[31mred\x1b[0m",
  "\u0085\u2028\u2029",
  "\u202edcba",
  "\u200fabc\ufeff",
  "\ud800",
  "a\udc00b",
  "x".repeat(65_536),
  "é".repeat(300),
  "'\"`$(id);|&<>",
  "%00%2e%2e%2f%",
  "../../etc/passwd",
  "..",
  ".",
  "/",
  "{{x}} {{{y}}} {{#each}}",
  "a,b\\,c,,",
  "a,a,a",
  "true",
  "false",
  "0",
  "no",
  "-1",
  "65536",
  "99999999999999999999999",
  "0x50",
  "80.5",
  "1e3",
  "NaN",
  "Infinity",
  "٣",
  "08",
  "80",
  "80,80",
  "80,443/udp,x,99999/tcp",
  "010.0.0.1",
  "127.1",
  "0x7f.0.0.1",
  "127.0.0.1",
  "::1",
  "0:0:0:0:0:0:0:1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::ffff:10.0.0.7",
  "0.0.0.0",
  "0.1.2.3",
  "::",
  "0::0",
  "::ffff:0.0.0.0",
  "fe80::1",
  "fe80::1%eth0",
  "fd00::1%eth0",
  "::%1",
  "169.254.169.254",
  "224.0.0.1",
  "ff02::1",
  "255.255.255.255",
  "FD00:0:0::0001",
  "10.0.0.5/24",
  "10.0.0.5/24/",
  "master",
  "king",
  "elect",
  "30s",
  "soon",
  "-5s",
  "99999999h",
  "on-success",
  "sometimes",
  "host",
  "bridge",
  "__proto__",
  "constructor",
  "toString",
];

const keys = [
  "NAME",
  "ID",
  "TAGS",
  "IGNORE",
  "IP",
  "PORT",
  "NETWORK",
  "INTERNAL",
  "PORTS",
  "WEIGHT",
  "ROLE",
  "DRAIN",
  "DEREGISTER",
  "REQUIRE_HEALTHY",
  "CHECK_HTTP",
  "CHECK_",
  "CHECK",
  "HTTP_HOST",
  "name",
  "Name",
  "",
  "_",
  "__",
  "80",
  "_PROTO__",
  "__PROTO__",
  "CONSTRUCTOR",
  "HASOWNPROPERTY",
  "a\nb",
  "a\0b",
  "\u202eX",
  "\ud800",
  "K".repeat(300),
];

const prefixes = [
  "SERVICE_",
  "SERVICE_80_",
  "SERVICE_080_",
  "SERVICE_80_TCP_",
  "SERVICE_443_",
  "SERVICE_53_udp_",
];
const foreign = ["com.docker.compose.service", "__proto__", "constructor", "addr", "service_name", "SERVICE"];
const names = [...prefixes.flatMap((prefix) => keys.map((key) => prefix + key)), ...foreign];

const value = fc.oneof(fc.constantFrom(...values), fc.string({ unit: "binary", maxLength: 40 }), fc.string());
const labels = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...names) }, fc.string({ unit: "binary" })),
      value,
    ),
    {
      maxLength: 12,
    },
  )
  // As JSON.parse makes them: also a label named __proto__ is one of its own.
  .map(
    (entries) =>
      JSON.parse(
        `{${entries.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`).join(",")}}`,
      ) as Record<string, string>,
  );

const addresses = [
  "0.0.0.0",
  "::",
  "",
  "127.0.0.1",
  "::1",
  "10.9.9.9",
  "fd00::7",
  "fe80::1%eth0",
  "::ffff:10.0.0.9",
];
const binding = fc.record({
  address: fc.constantFrom(...addresses),
  port: fc.integer({ min: 1, max: 65_535 }),
});
const port: fc.Arbitrary<ContainerPort> = fc.oneof(
  fc.constantFrom(published(80, 32_768), published(443, 32_769), exposed(80), published(53, 5353, "udp")),
  fc
    .tuple(
      fc.constantFrom(80, 443, 53),
      fc.constantFrom("tcp" as const, "udp" as const, "sctp" as const),
      fc.array(binding, { maxLength: 4 }),
    )
    .map(([number, protocol, bindings]) => ({
      port: number,
      protocol,
      bindings,
      first: bindings[0] ?? null,
    })),
);
const network = fc.record({
  name: fc.constantFrom("bridge", "back", "__proto__", "\0"),
  ipv4: fc.constantFrom("", "172.17.0.2", "172.18.0.3"),
  ipv6: fc.constantFrom("", "fd01::2", "fe80::2"),
});
const anyContainer = (index: number): fc.Arbitrary<Container> =>
  fc
    .record({
      labels,
      env: labels,
      image: fc.oneof(
        fc.constantFrom("acme/web:1", "web@sha256:0", "sha256:0123456789ab", "", "/", ":"),
        value,
      ),
      paused: fc.boolean(),
      stopping: fc.boolean(),
      health: fc.constantFrom("none", "starting", "healthy", "unhealthy"),
      networkMode: fc.oneof(
        fc.constantFrom(
          "default",
          "bridge",
          "host",
          "none",
          "back",
          "container:c0",
          "container:id-c1",
          "container:",
          "container:zzz",
        ),
        value,
      ),
      networks: fc.array(network, { maxLength: 3 }),
      ports: fc.uniqueArray(port, { maxLength: 4, selector: ({ port, protocol }) => `${port}/${protocol}` }),
    })
    .map((over) => container({ ...over, name: `c${index}`, id: `id-c${index}` }));

const anySettings: fc.Arbitrary<RegistratorSettings> = fc
  .record({
    internal: fc.boolean(),
    explicit: fc.boolean(),
    compat: fc.constantFrom(undefined, undefined, "registrator" as const),
    requireHealthy: fc.boolean(),
    network: fc.constantFrom(undefined, "back", "constructor"),
    useIpFromLabel: fc.constantFrom(undefined, "addr", "constructor", "__proto__"),
    name: fc.constantFrom(
      undefined,
      "{{service}}-{{node}}",
      "{{labels.SERVICE_NAME}}",
      "{{lookup labels 'constructor'}}",
      "{{env.SERVICE_X}}",
    ),
    tags: fc.constantFrom([], ["prod"], ["{{labels.SERVICE_TAGS}}", "{{container.name}}:{{port}}"]),
    select: fc.constantFrom(undefined, undefined, { label: "constructor", value: undefined }),
  })
  .map(settings);

const hostAddress = fc.constantFrom("10.0.0.5", "fd00::5", "127.0.0.1", { unknown: "nobody knows" });

/** What holds for whatever comes out. */
function examine(
  containers: readonly Container[],
  given: RegistratorSettings,
  address: string | { unknown: string },
) {
  const { instances, remarks } = desired(engine(...containers), given, address);
  for (const instance of instances) {
    const { checks, ...record } = instance;
    expect(decodeInstance(encodeInstance(instance), "here")).toEqual(record);
    expect(instance.port).toSatisfy((port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535);
    expect(isIP(instance.address)).toBeGreaterThan(0);
    expect(instance.address).not.toContain("%");
    for (const text of [
      instance.service,
      instance.id,
      ...instance.tags,
      ...Object.keys(instance.meta),
      ...Object.keys(checks ?? {}),
    ]) {
      expect(text).not.toMatch(/[\p{Cc}\p{Cs}\u202a-\u202e]/u);
    }
    for (const text of [instance.service, instance.id]) {
      expect(text.trim()).not.toBe("");
      expect(encodeSegment(text).length).toBeLessThanOrEqual(limits.name);
    }
    expect(encodeInstance(instance).length).toBeLessThan(900_000);
    expect(instance.meta).not.toHaveProperty("name");
  }
  expect(new Set(instances.map(({ id }) => id)).size).toBe(instances.length);
  for (const { container, reason } of remarks) {
    expect(container).not.toBe("");
    expect(reason).not.toMatch(/[\p{Cc}\p{Cs}\u202a-\u202e]/u);
    expect(reason.length).toBeLessThan(2000);
  }
  expect(new Set(remarks.map((remark) => JSON.stringify(remark))).size).toBe(remarks.length);
  return { instances, remarks };
}

describe("whatever a container says", () => {
  it("what comes out is valid, bounded and the same each time", () => {
    const world = fc.tuple(anyContainer(0), anyContainer(1), anyContainer(2));
    fc.assert(
      fc.property(world, anySettings, hostAddress, (containers, given, address) => {
        const first = examine(containers, given, address);
        const again = examine(
          [...containers].map((one) => ({ ...one, labels: reversed(one.labels) })),
          given,
          address,
        );
        expect(JSON.stringify(again.instances)).toBe(JSON.stringify(first.instances));
      }),
      { numRuns: 400 },
    );
  });

  it.each(["SERVICE_", "SERVICE_80_", "SERVICE_80_TCP_"])(
    "%sKEY with every odd value leaves the other port alone",
    (prefix) => {
      const ports = [published(80, 32_768), published(443, 32_769)];
      for (const key of keys) {
        if (
          prefix === "SERVICE_" &&
          /^(NAME|ID|IGNORE|IP|PORT|NETWORK|INTERNAL|REQUIRE_HEALTHY|PORTS)$/i.test(key)
        )
          continue;
        for (const text of values) {
          const { instances } = examine(
            [container({ ports, labels: { [prefix + key]: text } })],
            settings(),
            "10.0.0.5",
          );
          expect(
            instances.map(({ port }) => port),
            `${prefix}${key}=${JSON.stringify(text.slice(0, 80))}`,
          ).toContain(32_769);
        }
      }
    },
  );

  it.each(["NAME", "ID"])("SERVICE_%s that cannot be used hides no port", (key) => {
    for (const text of values) {
      const ports = [published(80, 32_768), published(443, 32_769)];
      const { instances } = examine(
        [container({ ports, labels: { [`SERVICE_${key}`]: text } })],
        settings(),
        "10.0.0.5",
      );
      expect(new Set(instances.map(({ port }) => port)).size, JSON.stringify(text.slice(0, 80))).toBe(2);
    }
  });

  it.each([
    ["SERVICE_80_NAME", "a\nb"],
    ["SERVICE_80_NAME", "x".repeat(65_536)],
    ["SERVICE_80_ID", "a\0b"],
    ["SERVICE_80_TAGS", "ok,\u202ebad"],
    ["SERVICE_80_IP", "fe80::1%eth0"],
    ["SERVICE_80_IP", "010.0.0.1"],
    ["SERVICE_80_PORT", "-1"],
    ["SERVICE_80_PORT", "99999"],
    ["SERVICE_80_PORT", "0x50"],
    ["SERVICE_80_WEIGHT", "-1"],
    ["SERVICE_80_WEIGHT", "1.5"],
    ["SERVICE_80_WEIGHT", "99999999999999999999"],
    ["SERVICE_80_ROLE", "king"],
    ["SERVICE_80_DRAIN", "soon"],
    ["SERVICE_80_DEREGISTER", "sometimes"],
    ["SERVICE_80_X", "a\0b"],
    ["SERVICE_80_X", "x".repeat(65_536)],
    ["SERVICE_80_CHECK_HTTP", "/a\nb"],
    ["SERVICE_80___PROTO__", "x"],
  ])("%s with a value that cannot be used is told once, with container, key and way out", (key, text) => {
    const { remarks } = examine([container({ labels: { [key]: text } })], settings(), "10.0.0.5");
    expect(remarks).toHaveLength(1);
    expect(remarks[0]).toMatchObject({ kind: "mistake", container: "web-1", port: "80" });
    expect(remarks[0]?.reason).toContain(key);
    expect(remarks[0]?.reason).toMatch(/use |used|give |write |change |rename /);
  });
});

function reversed(record: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(record).reverse();
  return JSON.parse(
    `{${entries.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`).join(",")}}`,
  ) as Record<string, string>;
}
