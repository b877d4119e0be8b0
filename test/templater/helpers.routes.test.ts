import { describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { httpRoutes } from "../../src/templater/helpers/routes.ts";
import { instance } from "./golden/world.ts";

type Meta = Readonly<Record<string, string>>;

const routed = (http_host: string, fields: Partial<Instance> = {}, meta: Meta = {}): Instance =>
  instance({ ...fields, meta: { http_host, ...meta } });

/** The table as lines: `host/path pool` and `pool: servers`; and what was refused. */
function routes(...instances: readonly Instance[]) {
  const refused: string[] = [];
  const refuse = ({ id }: Instance, reason: string) => refused.push(`${id}: ${reason}`);
  const { sites, pools } = httpRoutes(instances, { refuse });
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
