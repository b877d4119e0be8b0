import { describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { portRoutes } from "../../src/templater/helpers/port-routes.ts";
import { httpRoutes } from "../../src/templater/helpers/routes.ts";
import { instance } from "./golden/world.ts";

type Meta = Readonly<Record<string, string>>;

const routed = (http_host: string, fields: Partial<Instance> = {}, meta: Meta = {}): Instance =>
  instance({ ...fields, meta: { http_host, ...meta } });

/** The table as lines: `host/path pool` and `pool: servers`; and what was refused. */
function routes(...instances: readonly Instance[]) {
  const refused: string[] = [];
  const refuse = ({ id }: Instance, reason: string) => refused.push(`${id}: ${reason}`);
  const { sites, pools } = httpRoutes([instances], { refuse });
  return {
    routes: sites.flatMap(({ host, paths }) => paths.map(({ path, pool }) => `${host}${path} ${pool.name}`)),
    pools: pools.map(({ name, servers }) => [`${name}:`, ...servers.map(({ id }) => id)].join(" ")),
    refused,
  };
}

describe("httpRoutes", () => {
  it("puts exact names before wildcards, and the longest first", () => {
    const found = routes(
      routed("*.b.com,a.b.com, *.x.b.com ,Z.com,a.b.com,", { service: "w" }),
      routed("a.b.com", { service: "api" }, { http_path: "/api" }),
      routed("a.b.com", { service: "v2" }, { http_path: "/api/v2" }),
    );
    expect(found.routes).toEqual([
      "a.b.com/api/v2 v2",
      "a.b.com/api api",
      "a.b.com/ w",
      "z.com/ w",
      "*.x.b.com/ w",
      "*.b.com/ w",
    ]);
    expect(found.refused).toEqual([]);
  });

  it("keeps a service without a ready instance", () => {
    expect(routes(routed("a.com", { state: "starting" }))).toMatchObject({
      routes: ["a.com/ web"],
      pools: ["web:"],
    });
  });

  it("does not route what says no host, or is not TCP", () => {
    expect(routes(instance(), routed(" , "), routed("a.com", { protocol: "udp" }))).toEqual({
      routes: [],
      pools: [],
      refused: [],
    });
  });

  it("lets services with the same host and path share a pool", () => {
    const blue = routed("a.com", { service: "blue", id: "1" });
    const green = routed("a.com", { service: "green", id: "2" });
    expect(routes(blue, green)).toMatchObject({ routes: ["a.com/ blue_green"], pools: ["blue_green: 1 2"] });
  });

  it("sends each host only to the instances that ask for it", () => {
    const found = routes(routed("a.com", { id: "1" }), routed("a.com,b.com", { id: "2" }));
    expect(found.pools).toEqual(["web: 1 2", "web:b.com/: 2"]);
    expect(found.routes).toEqual(["a.com/ web", "b.com/ web:b.com/"]);
  });

  it("gives every pool its own name, even when a service is called like a pool", () => {
    const { routes: found } = routes(
      routed("a.com", { id: "1" }),
      routed("a.com,b.com", { id: "2" }),
      routed("aa.com", { id: "3", service: "web:b.com/" }),
    );
    expect(found).toEqual(["a.com/ web", "aa.com/ web:b.com/", "b.com/ web:b.com/:2"]);
  });

  it("refuses a second server of the same name", () => {
    const found = routes(
      routed("a.com", { id: "x", service: "a" }),
      routed("a.com", { id: "x", service: "b" }),
    );
    expect(found.refused).toEqual(["x: another instance with the same id has the same host and path"]);
  });

  const impossible: readonly (readonly [
    host: string,
    fields: Partial<Instance>,
    meta: Meta,
    reason: string,
  ])[] = [
    ["a b.com", {}, {}, "meta http_host"],
    ["a.com\nb", {}, {}, "meta http_host"],
    ["a.com;", {}, {}, "meta http_host"],
    ["~^a", {}, {}, "meta http_host"],
    ["*", {}, {}, "meta http_host"],
    ["a.*", {}, {}, "meta http_host"],
    ["a..com", {}, {}, "meta http_host"],
    ["-a.com", {}, {}, "meta http_host"],
    ["a.com:80", {}, {}, "meta http_host"],
    ["münchen.de", {}, {}, "meta http_host"],
    ["a".repeat(254), {}, {}, "meta http_host"],
    [Array.from({ length: 65 }, (_, n) => `h${n}.com`).join(), {}, {}, "more than 64 hosts"],
    ["a.com", {}, { http_path: "api" }, "meta http_path"],
    ["a.com", {}, { http_path: "/a b" }, "meta http_path"],
    ["a.com", {}, { http_path: '/a" {' }, "meta http_path"],
    ["a.com", {}, { http_path: "" }, "meta http_path"],
    ["a.com", {}, { http_check: "/\n" }, "meta http_check"],
    ["a.com", {}, { http_check: "health" }, "meta http_check"],
    ["a.com", { address: "db.example.com" }, {}, "address"],
    ["a.com", { address: "0.0.0.0" }, {}, "address"],
    ["a.com", { address: "::" }, {}, "address"],
    ["a.com", { address: "fe80::1%eth0" }, {}, "address"],
    ["a.com", { address: "unix@/run/docker.sock" }, {}, "address"],
  ];
  it.each(impossible)("refuses %j %j %j", (host, fields, meta, reason) => {
    expect(routes(routed(host, fields, meta))).toMatchObject({
      routes: [],
      refused: [expect.stringContaining(reason)],
    });
  });
});

describe("portRoutes", () => {
  const asking = (id: string, meta: Meta, fields: Partial<Instance> = {}) =>
    instance({ id, meta, ...fields });

  function ports(...instances: readonly Instance[]) {
    const refused: string[] = [];
    const refuse = ({ id }: Instance, reason: string) => refused.push(`${id}: ${reason}`);
    const found = portRoutes(instances, ["write_port", "read_port"], 1024, { refuse });
    const routes = found.map(({ protocol, port, key, service, servers }) =>
      [protocol, port, key, `${service}:`, ...servers.map(({ id }) => id)].join(" "),
    );
    return { routes, refused };
  }

  it("lists ports by protocol and number, with the ready instances of their service", () => {
    const both = { write_port: "5000", read_port: "4000" };
    const found = ports(
      asking("b", both),
      asking("a", both, { state: "draining" }),
      asking("c", { read_port: "53000" }, { protocol: "udp", service: "dns" }),
      asking("d", { read_port: "6000" }, { state: "starting", service: "late" }),
      asking("e", { write_port: "" }),
      asking("f", { write_port: "7000" }, { protocol: "sctp" }),
    );
    expect(found.refused).toEqual([]);
    expect(found.routes).toEqual([
      "tcp 4000 read_port web: b",
      "tcp 5000 write_port web: b",
      "tcp 6000 read_port late:",
      "udp 53000 read_port dns: c",
    ]);
  });

  it("gives each port of a key a name of its own, the service's where it can", () => {
    const refuse = () => {};
    const all = [
      asking("old", { read_port: "5001" }),
      asking("new", { read_port: "5002", write_port: "5000" }),
      asking("newer", { read_port: "5003" }),
      asking("other", { read_port: "6000" }, { service: "web:5002" }),
    ];
    const found = portRoutes(all, ["write_port", "read_port"], 1024, { refuse });
    expect(found.map(({ key, name }) => `${key} ${name}`)).toEqual([
      "write_port web",
      "read_port web",
      "read_port web:5002:2",
      "read_port web:5003",
      "read_port web:5002",
    ]);
  });

  it("lets TCP and UDP have the same number", () => {
    const tcp = asking("t", { read_port: "5353" }, { service: "t" });
    const udp = asking("u", { read_port: "5353" }, { service: "u", protocol: "udp" });
    expect(ports(tcp, udp).routes).toEqual(["tcp 5353 read_port t: t", "udp 5353 read_port u: u"]);
  });

  it.each([
    ["0", 'meta read_port: "0" is not a port'],
    ["65536", 'meta read_port: "65536" is not a port'],
    ["5000 ssl", 'meta read_port: "5000 ssl" is not a port'],
    ["05000", 'meta read_port: "05000" is not a port'],
    ["1023", "meta read_port: ports below 1024 are not given away"],
  ])("refuses port %s", (read_port, reason) => {
    const { routes, refused } = ports(asking("a", { read_port }));
    expect([routes, refused]).toEqual([[], [expect.stringContaining(`a: ${reason}`)]]);
  });

  it.each(["0.0.0.0", "::", "unix@/run/x.sock", "db.internal", "fe80::1%eth0"])("refuses %s", (address) => {
    expect(ports(asking("a", { read_port: "5000" }, { address })).refused).toEqual([
      expect.stringContaining("is not an IP address that a proxy can connect to"),
    ]);
  });

  it("gives a port to one service and one key, the first by name", () => {
    const { routes, refused } = ports(
      asking("z", { read_port: "5000" }, { service: "z" }),
      asking("a", { read_port: "5000", write_port: "5001" }, { service: "a" }),
      asking("b", { read_port: "5001" }, { service: "a" }),
    );
    expect(routes).toEqual(["tcp 5000 read_port a: a", "tcp 5001 write_port a: a"]);
    expect(refused).toEqual([
      "b: meta read_port: port 5001 is the service's write_port already",
      "z: meta read_port: port 5000 belongs to the service a",
    ]);
  });
});
