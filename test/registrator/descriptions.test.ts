import type { ContainerInspectInfo } from "dockerode";
import { describe, expect, it } from "vitest";
import { PortolanError } from "../../src/errors.ts";
import type { LocalContainer } from "../../src/local-containers.ts";
import type { Inspected, Listed } from "../../src/registrator/docker/client.ts";
import { describe as describeContainer } from "../../src/registrator/docker/described.ts";
import { createDescriptions } from "../../src/registrator/docker/descriptions.ts";
import { localContainer } from "../local-container.ts";
import { container } from "./build.ts";

const ended = { status: "exited", running: false, health: { status: "" }, exitCode: 1 };
const inspected = (of: LocalContainer): Inspected => ({
  container: container({ id: of.id, name: of.name }),
  exitCode: undefined,
  running: of.state.running,
  networks: [],
  describe: () => of,
});
const entry = (of: LocalContainer): Listed => ({
  ...{ Id: of.id, Names: [`/${of.name}`], State: of.state.status, Status: "", Ports: [] },
});

function kept() {
  let lists = 0;
  const descriptions = createDescriptions(() => {
    lists += 1;
  });
  let told = 0;
  descriptions.source.subscribe(() => {
    told += 1;
  });
  return {
    ...descriptions,
    lists: () => lists,
    told: () => told,
    found: (of: LocalContainer) => descriptions.found(of.id, inspected(of), new Map()),
    /** As after a full list. */
    listed() {
      descriptions.complete(descriptions.wanted());
      descriptions.publish();
    },
    names() {
      const now = descriptions.source.current();
      return now.known ? now.value.containers.map(({ name }) => name) : "unknown";
    },
  };
}

const web = localContainer({ name: "web" });
const old = localContainer({ name: "old", state: ended });

describe("what is kept of containers", () => {
  it("is nothing before somebody wants it, and nothing is known before the first full list", () => {
    const one = kept();
    one.found(web);
    one.publish();
    expect([one.names(), [...one.ids()]]).toEqual(["unknown", []]);
    one.source.want("running");
    expect(one.lists()).toBe(1);
    expect(one.lacks(entry(web))).toBe(true);
    one.found(web);
    one.publish();
    expect(one.names()).toBe("unknown");
    one.listed();
    expect(one.names()).toEqual(["web"]);
  });

  it("are those that run, or all: then the others are unknown until they are read", () => {
    const one = kept();
    one.source.want("running");
    for (const each of [web, old]) one.found(each);
    one.listed();
    expect([one.names(), one.lacks(entry(old))]).toEqual([["web"], false]);
    one.source.want("all");
    expect(one.source.current()).toMatchObject({ value: { all: false } });
    expect([one.lists(), one.lacks(entry(old))]).toEqual([2, true]);
    one.found(old);
    one.listed();
    expect(one.source.current()).toMatchObject({ value: { all: true } });
    expect(one.names()).toEqual(["old", "web"]);
    one.source.want("running");
    one.publish();
    expect(one.source.current()).toMatchObject({ value: { all: false, containers: [{ name: "web" }] } });
  });

  it("ends when nobody wants it any more, and is not believed later", () => {
    const one = kept();
    one.source.want("running");
    one.found(web);
    one.listed();
    one.source.want("none");
    expect([one.names(), [...one.ids()]]).toEqual(["unknown", []]);
    one.source.want("running");
    expect(one.names()).toBe("unknown");
    one.listed();
    expect(one.names()).toEqual([]);
  });

  it("stays the same object while it says the same, and tells only of news", () => {
    const one = kept();
    one.source.want("running");
    one.found(web);
    one.listed();
    const before = one.source.current();
    one.found({ ...web });
    one.listed();
    expect(one.source.current()).toBe(before);
    expect(one.told()).toBe(1);
    one.ended(web.id);
    one.publish();
    expect([one.names(), one.told()]).toEqual([[], 2]);
  });

  it("an outage keeps it, with the problem, until the next list", () => {
    const one = kept();
    one.source.want("running");
    one.found(web);
    one.listed();
    one.fail({ kind: "unreachable", error: new PortolanError("DOCKER_UNREACHABLE", "gone") });
    expect(one.source.current()).toMatchObject({ known: true, problem: { kind: "unreachable" } });
    one.listed();
    expect(one.source.current()).not.toHaveProperty("problem");
    expect(one.names()).toEqual(["web"]);
  });
});

describe("Docker's answer in our words", () => {
  const answer = (image: string, settings: object = {}) =>
    describeContainer(
      {
        Id: "1",
        Name: "/web",
        Created: "2026-01-01T00:00:00Z",
        State: { Running: true, Paused: false },
        Config: { Image: image },
        HostConfig: {},
        NetworkSettings: settings,
      } as unknown as ContainerInspectInfo,
      new Map([["n1", true]]),
    );

  it.each([
    ["nginx", "", "nginx", ""],
    ["nginx:1.26", "", "nginx", "1.26"],
    ["nginx-proxy/docker-gen:1", "", "nginx-proxy/docker-gen", "1"],
    ["localhost/a", "localhost", "a", ""],
    ["hub.example.com:5000/team/app:v2", "hub.example.com:5000", "team/app", "v2"],
    ["app@sha256:0123", "", "app", ""],
  ])("image %s", (name, registry, repository, tag) => {
    expect(answer(name).image).toEqual({ name, registry, repository, tag });
  });

  it("takes the address on the default bridge, else on the only network, and none of several", () => {
    const end = (ip: string, id = "n1") => ({ IPAddress: ip, NetworkID: id, Gateway: "g" });
    expect(answer("a", { Networks: { bridge: end("1"), a: end("2") } }).ip).toBe("1");
    const only = answer("a", { Networks: { a: end("2") }, Ports: { "80/tcp": null } });
    expect(only).toMatchObject({ ip: "2", gateway: "g", addresses: [{ ip: "2", port: "80", hostPort: "" }] });
    expect(only.networks).toMatchObject([{ name: "a", internal: true }]);
    const several = answer("a", { Networks: { a: end("2"), b: end("3", "n2") } });
    expect(several).toMatchObject({ ip: "", networks: [{ ip: "2" }, { ip: "3" }] });
    expect(several.networks[1]).not.toHaveProperty("internal");
  });

  it("lists a port once, with its first binding and all of them", () => {
    const bindings = [
      { HostIp: "::", HostPort: "8080" },
      { HostIp: "0.0.0.0", HostPort: "8080" },
      { HostIp: "0.0.0.0", HostPort: "80" },
    ];
    expect(answer("a", { Ports: { "443/tcp": null, "80/tcp": bindings } }).addresses).toMatchObject([
      {
        port: "80",
        hostIp: "0.0.0.0",
        hostPort: "80",
        bindings: [{ hostPort: "80" }, { hostPort: "8080" }, { hostIp: "::" }],
      },
      { port: "443", hostPort: "" },
    ]);
  });
});
