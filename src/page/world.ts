import type { ShownInstance } from "../daemon-status.ts";
import type { Pieces } from "../status/pieces.ts";

/** A service with all that is known of it here. */
export interface Service {
  readonly name: string;
  readonly count: number;
  readonly ready: number;
  readonly instances: readonly ShownInstance[];
}

/** A host with what runs on it. */
export interface Host {
  readonly node: string;
  readonly count: number;
  readonly ready: number;
}

/** As people order names: `web-2` before `web-10`. */
export const inOrder = new Intl.Collator("en", { numeric: true });

/**
 * The services that this process knows, in order: those that its templater reads, with what its registrator knows of
 * its own; else what its registrator wants.
 */
export function servicesOf({ services, instances = [] }: Partial<Pieces>): readonly Service[] {
  const own = new Map(instances.map((instance) => [instance.id, instance]));
  const known = new Map<string, Service>();
  for (const service of services ?? []) {
    const list = service.instances.map((one) => {
      const started = own.get(one.id)?.started;
      return started === undefined ? one : { ...one, started };
    });
    known.set(service.name, { ...service, instances: list });
  }
  const unread = new Map<string, ShownInstance[]>();
  for (const instance of instances) {
    if (known.has(instance.service)) continue;
    unread.set(instance.service, [...(unread.get(instance.service) ?? []), instance]);
  }
  for (const [name, list] of unread)
    known.set(name, { name, count: list.length, ready: readyIn(list), instances: list });
  return [...known.values()].filter(({ count }) => count > 0).sort((a, b) => inOrder.compare(a.name, b.name));
}

/** The hosts of the services, in order. */
export function hostsOf(services: readonly Service[]): readonly Host[] {
  const lists = new Map<string, ShownInstance[]>();
  for (const { instances } of services)
    for (const one of instances) {
      const list = lists.get(one.node);
      if (list) list.push(one);
      else lists.set(one.node, [one]);
    }
  return [...lists]
    .map(([node, list]) => ({ node, count: list.length, ready: readyIn(list) }))
    .sort((a, b) => inOrder.compare(a.node, b.node));
}

const readyIn = (list: readonly ShownInstance[]) => list.filter(({ state }) => state === "ready").length;
