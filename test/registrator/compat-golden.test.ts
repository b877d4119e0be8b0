import type { ContainerInspectInfo } from "dockerode";
import { describe, expect, it } from "vitest";
import { type Desired, desired } from "../../src/registrator/desired.ts";
import { type Container, toContainer } from "../../src/registrator/docker/container.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { engine, settings } from "./build.ts";
import { expected, recorded } from "./compat-expected.ts";
import { situations } from "./compat-situations.ts";

const containers = situations.map(
  ({ name }): Container => toContainer(recorded(name), (variable) => variable.startsWith("SERVICE_")),
);

/** What is registered of all recorded containers together, on a host with the address 10.9.9.9. */
function registered(options: Partial<RegistratorSettings>): Desired {
  const own = settings({ compat: "registrator", resync: 30_000, ...options });
  return desired(engine(...containers), own, own.ip ?? "10.9.9.9");
}

const withIp = registered({ ip: "10.1.2.3" });
const internal = registered({ internal: true });
const withoutIp = registered({});

const of = ({ instances }: Desired, name: string) =>
  instances.filter(({ container }) => container?.name === name);
const places = (result: Desired, name: string) =>
  of(result, name).map(({ id, service, address, port }) => `${id} ${service} ${address}:${port}`);

describe.each(situations.map(({ name }) => [name, expected(name)] as const))("%s", (name, golden) => {
  it(`with -ip: ${golden.rules.join("; ")}`, () => {
    const own = of(withIp, name).map(({ id, service, address, port, tags, meta, checks }) => ({
      ...{ id, service, address, port, tags, meta },
      ...(checks && { checks }),
    }));
    expect(own).toEqual(golden.registered);
  });

  it("with -internal", () => expect(places(internal, name)).toEqual(golden.internal));

  it("without options", () => expect(places(withoutIp, name)).toEqual(golden.withoutIp));

  it("has a reason for each port that is not registered", () => {
    for (const result of [withIp, internal, withoutIp]) {
      const ports = containers.find((container) => container.name === name)?.ports ?? [];
      const told = result.remarks.filter(({ container }) => container === name);
      expect(of(result, name).length + told.length).toBe(ports.length);
    }
  });

  it("has its top-level address on the default bridge, as registrator's rules assume", () => {
    // The published types leave out what newer Dockers do.
    const network = recorded(name).NetworkSettings as ContainerInspectInfo["NetworkSettings"] & {
      readonly IPAddress: string;
    };
    expect(network.IPAddress).toBe(network.Networks.bridge?.IPAddress ?? "");
  });
});

it("reads nothing but what registration may read", () => {
  expect(JSON.stringify(containers)).not.toContain("PASSWORD");
});
