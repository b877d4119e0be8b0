// What every fault is seen by: a host beyond its reach, a host and a reader in the middle of it, and what the reader showed.
import { expect, type TestContext } from "vitest";
import { type Backend, instancesOf, type Observation } from "../../src/backends/backend.ts";
import { encodeInstance } from "../../src/instance.ts";
import { waitFor } from "../servers/wait.ts";
import { within } from "./fault.ts";
import { type Host, keepHost } from "./host.ts";
import type { FaultStore } from "./store.ts";

/** Instances that stand there before anything goes wrong. */
const standing = 3;

/** A place in a store with two hosts and a reader. */
export interface Scene {
  /** The service of a host whose way to the store nothing disturbs, and of the one next to the reader. */
  readonly kept: string;
  readonly troubled: string;
  readonly near: Host;
  readonly far: Host;
  readonly reader: Observation;
  /** Resolves once the reader shows exactly what both hosts want, and no problem beside it. */
  inOrder(): Promise<void>;
  /** Resolves once the reader shows how many instances of a service, with a problem or without. */
  shows(service: string, count: number): Promise<void>;
  /** How many instances of a service an observation shows; undefined while that is unknown. */
  count(observation: Observation, service: string): number | undefined;
  /** Resolves once something is so, within the time that all of it is given. */
  until(what: string, isSo: () => boolean): Promise<void>;
  /** Resolves once there is such a problem. */
  problem(kind: "unreachable" | "denied"): Promise<void>;
  /** Asserts that the reader never showed fewer instances of the kept service than stood there all the time. */
  expectNothingLess(): void;
}

let scenes = 0;

/** Names that no other scene has. */
export function newPlace(): string {
  scenes += 1;
  return `fault-${process.pid}-${scenes}`;
}

/** The connections of a scene. */
interface Parts {
  /** Beyond the fault. */
  readonly far: Backend;
  /** In the middle of it. */
  readonly near: Backend;
  /** Who reads, where that is not `near`. */
  readonly reader?: Backend;
}

/** Begins with everything in order. */
export async function setScene(
  { onTestFinished }: TestContext,
  { ttl }: Pick<FaultStore, "ttl">,
  place: string,
  { far, near, reader: reading = near }: Parts,
): Promise<Scene> {
  const [kept, troubled] = [`${place}-kept`, `${place}-troubled`];
  const hosts = [keepHost(far, ttl), keepHost(near, ttl)] as const;
  const reader = reading.observe({ services: new Set([kept, troubled]) });
  onTestFinished(async () => {
    await Promise.all(hosts.map((host) => host.stop()));
    await reader.close();
    await Promise.all([...new Set([far, near, reading])].map((backend) => backend.close()));
  });
  for (let n = 0; n < standing; n += 1) {
    hosts[0].add(kept);
    hosts[1].add(troubled);
  }

  const now = () => reader.current();
  const listOf = (observation: Observation, service: string) => {
    const observed = observation.current();
    return observed.known ? instancesOf(observed.value, service) : undefined;
  };
  const shown = (service: string) => listOf(reader, service);
  const until = async (what: string, isSo: () => boolean) => void (await waitFor(what, isSo, { within }));
  const texts = (list: Iterable<{ readonly id: string }>) => [...list].map(({ id }) => id).sort();
  const describeNow = () =>
    JSON.stringify({
      problem: now().problem?.error.message,
      trouble: hosts.map((host) => String(host.trouble() ?? "none").slice(0, 300)),
      kept: shown(kept)?.map(encodeInstance).length,
      troubled: shown(troubled)?.map(encodeInstance).length,
    });
  const isInOrder = () => {
    if (now().problem) throw new Error(describeNow());
    const wanted = hosts.flatMap((host) => [...host.wanted.values()]);
    const seen = [...(shown(kept) ?? []), ...(shown(troubled) ?? [])];
    if (texts(seen).join() !== texts(wanted).join()) throw new Error(describeNow());
    return true;
  };
  const seen: (number | undefined)[] = [];

  const scene: Scene = {
    kept,
    troubled,
    far: hosts[0],
    near: hosts[1],
    reader,
    until,
    count: (observation, service) => listOf(observation, service)?.length,
    inOrder: () => until("everything to be in order", isInOrder),
    shows: (service, count) =>
      until(`${count} of ${service}`, () => {
        if (shown(service)?.length === count) return true;
        throw new Error(describeNow());
      }),
    problem: (kind) => until(`a problem "${kind}"`, () => now().problem?.kind === kind),
    expectNothingLess: () =>
      expect(seen.filter((count) => count === undefined || count < standing)).toEqual([]),
  };
  await scene.inOrder();
  reader.subscribe(() => seen.push(shown(kept)?.length));
  return scene;
}
