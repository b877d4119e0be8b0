import Docker from "dockerode";
import { beforeAll, describe, it } from "vitest";
import type { DockerHost } from "../servers/docker.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, startProgram } from "./program.ts";
import {
  type Line,
  type ReadRegistry,
  type Registry,
  type RegistryName,
  startRegistry,
  storeNames,
} from "./registries.ts";

/** Seconds of a lease that a test sees run out, and of one that outlasts whatever a test does, and a busy machine. */
export const shortTtl = 8;
export const longTtl = 60;
/** Seconds between two full reads. */
const resync = 5;

/** Ten times the second within which a change is to be seen. */
export const soon = { within: 10_000 };
/** Ten times a lease and what may be added to it until its end shows. */
export const atLast = { within: 60_000 };

/** A store and the registrator that fills it. */
export interface Site {
  readonly registry: ReadRegistry;
  /** Replaced by an upgrade. */
  registrator: Program;
}

/** All stores, with their registrators. */
export type Sites = ReadonlyMap<RegistryName, Site>;

/** How registrators are started. */
export interface SiteOptions {
  /** Where they find Docker (default: the host's own socket). */
  readonly docker?: string;
  /** Seconds of their leases (default: long). */
  readonly ttl?: number;
  /** More of their command line. */
  readonly args?: readonly string[];
  /** Default: those of `storeNames`. */
  readonly stores?: readonly RegistryName[];
}

/** Command line of a registrator of `host`. */
export const registratorArgs = (
  host: Pick<DockerHost, "dockerHost" | "address">,
  node: string,
  urls: readonly string[],
  { docker = host.dockerHost, ttl = longTtl, args = [] }: SiteOptions = {},
): readonly string[] => [
  ...["--docker", docker, "--ip", host.address, "--node", node],
  ...["--ttl", `${ttl}s`, "--resync", `${resync}s`],
  ...args,
  ...urls,
];

/** The node name of every registrator that fills this store alone. */
export const nodeOf = ({ name }: Pick<Registry, "name">): string => `node-${name}`;

/** Starts the stores, each with a registrator of its own, and waits until all is in sync. */
export async function startSites(host: DockerHost, options: SiteOptions = {}): Promise<Sites> {
  const sites = new Map(
    await Promise.all(
      (options.stores ?? storeNames).map(async (name): Promise<[RegistryName, Site]> => {
        const registry = await startRegistry(name);
        const args = registratorArgs(host, nodeOf(registry), [registry.url], options);
        return [name, { registry, registrator: await startProgram("registrator", args) }];
      }),
    ),
  );
  await each(sites, inSync);
  return sites;
}

/** Starts the stores and one registrator that fills them all. */
export async function startSitesOfOne(host: DockerHost, options: SiteOptions = {}): Promise<Sites> {
  const registries = await Promise.all(storeNames.map(startRegistry));
  const urls = registries.map(({ url }) => url);
  const registrator = await startProgram("registrator", registratorArgs(host, "node-all", urls, options));
  await inSync({ registrator });
  return new Map(registries.map((registry) => [registry.name, { registry, registrator }]));
}

/** Ends them all. */
export async function stopSites(sites: Sites | undefined): Promise<void> {
  await Promise.all(
    [...(sites?.values() ?? [])].map(async ({ registrator, registry }) => {
      await registrator.stop();
      await registry.stop();
    }),
  );
}

/** Does the same at all sites at once; an error names the store. */
export async function each(sites: Sites, work: (site: Site) => Promise<unknown>): Promise<void> {
  await Promise.all(
    [...sites].map(([name, site]) =>
      work(site).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`, { cause: error });
      }),
    ),
  );
}

/** Something that goes wrong at all sites at once. */
export interface Scenario<T> {
  /** Before it, at each site. */
  begin(site: Site): Promise<T>;
  /** What happens to all of them. */
  fault?(): Promise<void>;
  /** What each has to come to; it rejects where that is not so. */
  end(site: Site, begun: T): Promise<void>;
}

/** One fault, and a test for each store of what came of it there. */
export function scenario<T>(
  name: string,
  sites: () => Sites,
  { begin, fault, end }: Scenario<T>,
  stores: readonly RegistryName[] = storeNames,
): void {
  describe(name, () => {
    let outcomes: ReadonlyMap<RegistryName, Promise<void>>;
    beforeAll(async () => {
      const all = [...sites()];
      const begun = all.map(([store, site]) => [store, site, begin(site)] as const);
      await Promise.allSettled(begun.map(([, , promise]) => promise));
      await fault?.();
      outcomes = new Map(begun.map(([store, site, promise]) => [store, promise.then((to) => end(site, to))]));
      await Promise.allSettled(outcomes.values());
    });
    it.each(stores)("%s", (store) => outcomes.get(store));
  });
}

/** Waits until `/readyz` says 200. */
export async function inSync({ registrator }: Pick<Site, "registrator">): Promise<void> {
  await waitFor(
    "sync",
    async () => {
      const reason = await registrator.notReady();
      if (reason !== "") throw new Error(reason);
      return true;
    },
    { within: 60_000 },
  );
}

/** What Docker says has to be registered: running containers with published TCP ports. */
export async function truth(host: DockerHost): Promise<readonly Line[]> {
  const client = new Docker({ socketPath: host.socket });
  const list = await client.listContainers();
  return list
    .flatMap(({ Names, Labels, Ports, State, Status }) => {
      const name = Names[0]?.slice(1) ?? "";
      const health = /\((?:health: )?(starting|unhealthy)\)/.exec(Status)?.[1];
      const state = State === "paused" ? "paused" : (health ?? "ready");
      const published = Ports.filter(({ PublicPort, IP }) => PublicPort && !IP?.includes(":"));
      return published.map(
        ({ PublicPort }) => `${Labels.SERVICE_NAME ?? name} ${name} ${host.address}:${PublicPort} ${state}`,
      );
    })
    .sort();
}

/** Waits until a store holds exactly that. */
export async function holds(
  { registry }: Pick<Site, "registry">,
  expected: () => readonly Line[] | Promise<readonly Line[]>,
  patience = soon,
): Promise<void> {
  await waitFor(
    `${registry.name} to hold what it should`,
    async () => {
      const [held, wanted] = [await registry.lines(), await expected()];
      const tooMuch = held.filter((line) => !wanted.includes(line));
      const missing = wanted.filter((line) => !held.includes(line));
      if (tooMuch.length > 0 || missing.length > 0 || held.length !== wanted.length) {
        throw new Error(JSON.stringify({ tooMuch, missing }));
      }
      return true;
    },
    patience,
  );
}

/** Waits until readers of a store are given exactly that. */
export async function offers(
  { registry }: Pick<Site, "registry">,
  expected: () => readonly Line[] | Promise<readonly Line[]>,
): Promise<void> {
  await waitFor(
    `readers of ${registry.name} to be given what they should`,
    async () => {
      const [seen, wanted] = [registry.offered(), await expected()];
      if (JSON.stringify(seen) !== JSON.stringify(wanted)) throw new Error(JSON.stringify({ seen, wanted }));
      return true;
    },
    atLast,
  );
}

/** Looks at a store again and again. */
export interface Witness {
  /** The expected lines that were missing at some look, with the ms for which they were; and the looks. */
  stop(): Promise<{ readonly missed: readonly string[]; readonly looks: number }>;
}

/** Sees that lines stand in a store all the time, a look every 20 ms. A look that fails sees nothing. */
export function witness({ registry }: Pick<Site, "registry">, lines: readonly Line[]): Witness {
  const since = new Map<Line, number>();
  const missed = new Map<Line, number>();
  let looks = 0;
  let going = true;
  const looking = (async () => {
    while (going) {
      const held = await registry.lines().catch(() => undefined);
      if (held !== undefined) {
        looks += 1;
        const now = performance.now();
        for (const line of lines) {
          if (held.includes(line)) {
            since.delete(line);
            continue;
          }
          const first = since.get(line) ?? now;
          since.set(line, first);
          missed.set(line, Math.max(missed.get(line) ?? 0, now - first));
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    async stop() {
      going = false;
      await looking;
      return { missed: [...missed].map(([line, ms]) => `${line}: ${Math.round(ms)} ms`), looks };
    },
  };
}
