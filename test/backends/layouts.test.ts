import { describe, expect, it } from "vitest";
import { decodeClaim, encodeClaim } from "../../src/backends/layouts/claim.ts";
import { curatorLayout } from "../../src/backends/layouts/curator.ts";
import type { ListedLayout } from "../../src/backends/layouts/layout.ts";
import { registratorLayout, registratorNodeLayout } from "../../src/backends/layouts/registrator.ts";
import { dnsLabel, skydnsLayout } from "../../src/backends/layouts/skydns.ts";
import { standing } from "../../src/backends/layouts/standing.ts";
import type { Instance } from "../../src/instance.ts";

const web: Instance = {
  id: "host1:web-1:80",
  service: "web",
  address: "10.0.0.5",
  port: 32768,
  protocol: "tcp",
  tags: ["blue", "a<b"],
  meta: { zone: "b", region: "eu" },
  weight: 7,
  state: "ready",
  node: "host1",
  container: { id: "9f86d081884c7d659a2f", name: "web-1", image: "web:1.2" },
  owner: "host1/T5AP",
};
const dns: Instance = {
  ...web,
  id: "host1:dns-1:53:udp",
  service: "dns",
  protocol: "udp",
  address: "fd00::5",
  port: 53,
};

const plain = registratorLayout("/services", "portolan/registrator/services");
const nodes = registratorNodeLayout("/services", "/portolan/registrator/services");
const skydns = skydnsLayout("docker.local", "portolan/skydns/docker.local");
const curator = curatorLayout("/services", "/portolan/curator/services");

describe("layouts", () => {
  it.each<[string, ListedLayout, Instance, string, string]>([
    ["registrator: ip:port", plain, web, "/services/web/host1:web-1:80", "10.0.0.5:32768"],
    ["registrator: IPv6 in brackets", plain, dns, "/services/dns/host1:dns-1:53:udp", "[fd00::5]:53"],
    [
      "registrator: names that are no segment",
      plain,
      { ...web, service: "a/b", id: ".x y" },
      "/services/a%2Fb/%2Ex%20y",
      "10.0.0.5:32768",
    ],
    [
      "registrator: a ZooKeeper node",
      nodes,
      web,
      "/services/web/10.0.0.5:32768",
      '{"Name":"web","IP":"10.0.0.5","PublicPort":32768,"PrivatePort":80,"ContainerID":"9f86d081884c",' +
        '"Tags":["blue","a\\u003cb"],"Attrs":{"region":"eu","zone":"b"}}',
    ],
    [
      "registrator: a ZooKeeper node of IPv6, without a container port in its id",
      nodes,
      { ...dns, id: "mine", tags: ["udp"], meta: {} },
      "/services/dns/fd00::5:53",
      '{"Name":"dns","IP":"fd00::5","PublicPort":53,"PrivatePort":53,"ContainerID":"9f86d081884c","Tags":["udp"],"Attrs":{}}',
    ],
    [
      "skydns",
      skydns,
      web,
      "/skydns/local/docker/web/host1-web-1-80",
      '{"host":"10.0.0.5","port":32768,"priority":10,"weight":7,"ttl":30}',
    ],
    [
      "skydns: a slave comes after its master",
      skydns,
      { ...dns, role: "slave", weight: 1 },
      "/skydns/local/docker/dns/host1-dns-1-53-udp",
      '{"host":"fd00::5","port":53,"priority":20,"weight":1,"ttl":30}',
    ],
    [
      "curator",
      curator,
      web,
      "/services/web/host1:web-1:80",
      '{"name":"web","id":"host1:web-1:80","address":"10.0.0.5","port":32768,"sslPort":null,"payload":null,' +
        '"registrationTimeUTC":0,"serviceType":"DYNAMIC","uriSpec":null}',
    ],
  ])("%s", (_name, layout, instance, key, text) => {
    expect([layout.keyOf(instance), layout.textOf(instance)]).toEqual([key, text]);
    const back = layout.read(key, text);
    expect(back).toMatchObject({ address: instance.address, port: instance.port, state: "ready" });
    expect(back.owner).toBeUndefined();
  });

  it("shows no instance that is not ready where nothing says so", () => {
    for (const layout of [plain, nodes, skydns, curator]) {
      for (const state of ["starting", "unhealthy", "draining", "paused"] as const) {
        expect(layout.textOf({ ...web, state })).toBeUndefined();
      }
    }
  });

  it("reads what a generated id says, and takes the address for the node of another one", () => {
    const read = (id: string) => plain.read(`/services/web/${id}`, "10.0.0.5:80");
    expect(read("host1:web-1:80")).toMatchObject({ node: "host1", protocol: "tcp", id: "host1:web-1:80" });
    expect(read("host1:dns:53:udp")).toMatchObject({ node: "host1", protocol: "udp" });
    expect(read("host1:web-1:80@8081")).toMatchObject({ node: "host1", protocol: "tcp" });
    expect(read("mine")).toMatchObject({ node: "10.0.0.5", id: "mine", service: "web" });
  });

  it("reads what Curator, Spring Cloud and Dubbo write", () => {
    const text = (over: object) =>
      JSON.stringify({ name: "web", id: "x", address: "10.0.0.5", port: 8080, ...over });
    const read = (over: object) => curator.read("/services/web/x", text(over));
    expect(read({})).toMatchObject({ id: "x", port: 8080, state: "ready", node: "10.0.0.5" });
    expect(read({ port: null, sslPort: 443 })).toMatchObject({ port: 443 });
    expect(read({ enabled: false })).toMatchObject({ state: "draining" });
    const metadata = { instance_status: "OUT_OF_SERVICE", zone: "b" };
    expect(read({ payload: { "@class": "x", metadata } })).toMatchObject({
      state: "draining",
      meta: metadata,
    });
    expect(read({ payload: "text" })).toMatchObject({ meta: {} });
  });

  it.each<[string, ListedLayout, string, string]>([
    ["no port", plain, "web/x", "10.0.0.5"],
    ["no such port", plain, "web/x", "10.0.0.5:70000"],
    ["nothing", plain, "web/x", ""],
    ["bare IPv6", plain, "web/x", "fd00::5:80"],
    ["too deep", plain, "web/x/y", "10.0.0.5:80"],
    ["too high", plain, "web", "10.0.0.5:80"],
    ["half an escape", plain, "web/%2", "10.0.0.5:80"],
    ["no JSON", nodes, "web/10.0.0.5:80", "10.0.0.5:80"],
    ["an array", nodes, "web/10.0.0.5:80", "[]"],
    ["another service", nodes, "web/10.0.0.5:80", '{"Name":"db","IP":"10.0.0.5","PublicPort":80}'],
    ["no address", nodes, "web/10.0.0.5:80", '{"Name":"web","PublicPort":80}'],
    ["no port", skydns, "web/x", '{"host":"10.0.0.5"}'],
    ["a negative weight", skydns, "web/x", '{"host":"10.0.0.5","port":1,"weight":-1}'],
    ["another service", curator, "web/x", '{"name":"db","id":"x","address":"10.0.0.5","port":1}'],
  ])("says why it cannot read %s", (_name, layout, path, text) => {
    const key = `${layout.services}/${path}`;
    expect(() => layout.read(key, text)).toThrow(expect.objectContaining({ code: "RECORD" }));
    expect(() => layout.read(key, text)).toThrow(key);
  });

  it("makes labels that DNS takes", () => {
    expect(dnsLabel("Host_1:web.a:80")).toBe("host_1-web-a-80");
    const [one, other] = ["x".repeat(80), "x".repeat(81)].map(dnsLabel);
    expect(one).toMatch(/^x{54}-[0-9a-f]{8}$/);
    expect(other).not.toBe(one);
    expect(dnsLabel("☃")).toMatch(/^[0-9a-f]{8}$/);
  });

  it("shows TCP where UDP has the same key, and the other one when it is gone", () => {
    const [udp, tcp] = [
      { ...web, id: "host1:a:53:udp", protocol: "udp" as const },
      { ...web, id: "host1:a:53" },
    ];
    const shown = (...records: Instance[]) =>
      [...standing(nodes, records).values()].map(({ instance }) => instance.id);
    expect(shown(udp, tcp)).toEqual([tcp.id]);
    expect(shown(tcp, udp)).toEqual([tcp.id]);
    expect(shown(udp, { ...tcp, state: "draining" })).toEqual([udp.id]);
    expect(standing(plain, [udp, tcp]).size).toBe(2);
  });

  it("reads back a list as it was, whatever the order of it", () => {
    const claim = { owner: "host1/T5AP", run: "r" };
    const text = encodeClaim(claim, { keys: ["/b", "/a"], records: [web, dns] });
    expect(text).toBe(encodeClaim(claim, { keys: ["/a", "/b"], records: [dns, web] }));
    expect(JSON.parse(text)).toMatchObject({ ...claim, keys: ["/a", "/b"] });
    expect(decodeClaim(text, "x")).toEqual({ ...claim, records: [dns, web] });
    expect(decodeClaim('{"owner":"a","run":"b","records":[{}]}', "x")).toMatchObject({ records: [] });
    expect(decodeClaim("not ours", "x")).toBeUndefined();
  });
});
