// What the tests of every server's backend do to see it: wait for a service, for a problem, for a refusal.
import { expect } from "vitest";
import type { Backend, Lease, Observation, Snapshot } from "../../src/backends/backend.ts";
import { instancesOf } from "../../src/backends/backend.ts";
import type { Instance } from "../../src/instance.ts";
import { waitFor } from "../servers/wait.ts";
import { eventually, someOwner } from "./contract/suite.ts";

/** Of the calls of a test: never aborted. */
export const signal = new AbortController().signal;

/** The looks at one observation, which a test's set-up opens later. */
export function looksAt(observation: () => Observation) {
  const now = () => observation().current();
  return {
    /** Resolves once the service has so many instances. */
    seen: (service: string, count = 1): Promise<Snapshot> =>
      eventually(observation(), (s) => instancesOf(s, service)?.length === count, 20_000),
    /** Resolves once there is such a problem, or none. */
    problem: (kind: "unreachable" | "denied" | undefined) =>
      waitFor(`problem ${kind}`, () => now().problem?.kind === kind, { within: 130_000 }),
    /** The services that stand there, problem or not. */
    kept(): string[] | undefined {
      const observed = now();
      return observed.known ? [...observed.value.services.keys()] : undefined;
    },
  };
}

/** Asserts that nothing is known, and that it is said why, where no server answers. */
export async function expectUnknown(nobody: Backend): Promise<void> {
  const observation = nobody.observe({ services: "all" });
  await waitFor("a problem", () => observation.current().problem?.kind === "unreachable", { within: 20_000 });
  expect(observation.current().known).toBe(false);
  await expect(nobody.lease(someOwner(), 5).renew(signal)).rejects.toMatchObject({
    code: "BACKEND_UNREACHABLE",
  });
  await observation.close();
  await nobody.close();
}

/** Asserts that a backend of which one host is dead works by the others. */
export async function expectFailover(several: Backend, ttl: number): Promise<void> {
  const lease = several.lease(someOwner(), ttl);
  for (let n = 0; n < 10; n += 1) await lease.renew(signal);
  const observation = several.observe({ services: "all" });
  await eventually(observation, () => true);
  await observation.close();
  await lease.release(signal);
  await several.close();
}

/**
 * Asserts that a server which lost everything is a new world, filled again by `renewed` and a registration.
 * Nobody can take it for a removal: the connection is seen to break before.
 */
export async function expectNewWorld(
  observation: Observation,
  wipe: () => Promise<void>,
  lease: Lease,
  renewed: () => Promise<unknown>,
  instance: Instance,
): Promise<void> {
  const { seen, problem } = looksAt(() => observation);
  const problems: unknown[] = [];
  const unsubscribe = observation.subscribe(() => problems.push(observation.current().problem?.kind));
  await wipe();
  await seen(instance.service, 0);
  expect(problems).toContain("unreachable");
  unsubscribe();
  await problem(undefined);
  expect(await renewed()).toMatchObject({ fresh: true });
  await lease.register(instance, signal);
  await seen(instance.service);
}

/** Asserts that a cancelled call ends at once, and that the next one gives up on a server that is silent. */
export async function expectPatienceToEnd(lease: Lease, within: number): Promise<void> {
  const begun = performance.now();
  const cancelled = new AbortController();
  const call = lease.owned(cancelled.signal);
  cancelled.abort();
  await expect(call).rejects.toMatchObject({ code: "ABORTED" });
  expect(performance.now() - begun).toBeLessThan(4_000);
  await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
  expect(performance.now() - begun).toBeLessThan(within);
}
