import type { Snapshot } from "../../../src/backends/backend.ts";
import { compare, type Instance } from "../../../src/instance.ts";

export type Services = Snapshot["services"];

/** Instances of each service. */
export const instancesEach = 10;

/** So many services, in order, each with a host of its own. */
export function createServices(size: number): Services {
  const names = Array.from({ length: size }, (_, at) => `service-${at}`).sort(compare);
  return new Map(names.map((name, at) => [name, instancesOf(name, at)]));
}

function instancesOf(service: string, at: number): readonly Instance[] {
  return Array.from({ length: instancesEach }, (_, index) => ({
    id: `host-${index}:web-${at}:80`,
    service,
    address: `10.${index}.${at >> 8}.${at & 255}`,
    port: 32_768 + index,
    protocol: "tcp",
    tags: ["blue"],
    meta: { http_host: `${service}.example.com` },
    weight: 1,
    state: "ready",
    node: `host-${index}`,
    owner: `host-${index}/ENGINE`,
  }));
}

/** One instance of the service has another port. As a backend tells it: all that has not changed is the same object. */
export function changed(services: Services, name: string, port: number): Services {
  const list = (services.get(name) ?? []).map((one, at) => (at === 0 ? { ...one, port } : one));
  return new Map(services).set(name, list);
}
