import type { Snapshot } from "../../../src/backends/backend.ts";
import { compare, type Instance } from "../../../src/instance.ts";
import type { World } from "../../../src/templater/view.ts";

/** An instance that is ready, with what a test cares about. */
export function instance(fields: Partial<Instance> = {}): Instance {
  const { service = "web", id = `h1:${service}:80` } = fields;
  return {
    id,
    service,
    address: "10.0.0.1",
    port: 80,
    protocol: "tcp",
    tags: [],
    meta: {},
    weight: 1,
    state: "ready",
    node: "h1",
    ...fields,
  };
}

/** A snapshot that holds these instances and knows that there are no others. */
export function snapshotOf(instances: readonly Instance[], complete = true): Snapshot {
  const services = new Map<string, Instance[]>();
  const sorted = [...instances].sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id));
  for (const one of sorted) services.set(one.service, [...(services.get(one.service) ?? []), one]);
  return { services, complete, invalid: new Map() };
}

/** A world with these instances, seen from the host `lb1`. */
export function worldOf(instances: readonly Instance[], env: World["env"] = {}): World {
  return { snapshot: snapshotOf(instances), env, node: "lb1" };
}
