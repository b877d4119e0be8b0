import { afterAll, beforeAll, describe, it } from "vitest";
import { type Backend, instancesOf } from "../../../src/backends/backend.ts";
import { adoptionSuite } from "./adoption.ts";
import { endingSuite } from "./ending.ts";
import { expirySuite } from "./expiry.ts";
import { faultsSuite } from "./faults.ts";
import { handoverSuite } from "./handover.ts";
import { keysSuite } from "./keys.ts";
import { lastingSuite } from "./lasting.ts";
import { locksSuite } from "./locks.ts";
import { notesSuite } from "./notes.ts";
import { observationSuite } from "./observation.ts";
import { ownershipSuite } from "./ownership.ts";
import { registrationSuite } from "./registration.ts";
import { type Contract, eventually, type Stage, signal, type World } from "./stage.ts";

// What a backend is made of, and what its tests need.
export type * from "../../../src/backends/backend.ts";
export { instancesOf, ownerText } from "../../../src/backends/backend.ts";
export { codes, PortolanError } from "../../../src/errors.ts";
export { decodeInstance, encodeInstance, type Instance } from "../../../src/instance.ts";
export { createCell, type Observed, type Problem, type Source } from "../../../src/source.ts";
export {
  type Behaviour,
  type Contract,
  eventually,
  someInstance,
  someOwner,
  type World,
} from "./stage.ts";

/** Runs the contract against a real store. */
export function contractSuite(contract: Contract): void {
  describe(`${contract.name} keeps the backend contract`, () => {
    let world: World | undefined;
    let backend: Backend | undefined;
    beforeAll(async () => {
      world = await contract.start();
      backend = await world.open();
    });
    afterAll(async () => {
      await backend?.close();
      await world?.close();
    });

    const begun = <T>(part: T | undefined): T => {
      if (part === undefined) throw new Error("the suite's world is not there before its tests run");
      return part;
    };
    const stage: Stage = {
      get world() {
        return begun(world);
      },
      get backend() {
        return begun(backend);
      },
      ttl: contract.ttl,
      shown: contract.shown ?? ((instance) => instance),
      able: (behaviour) => (contract.skips?.[behaviour] === undefined ? it : it.skip),
      because(behaviour) {
        const reason = contract.skips?.[behaviour];
        return reason === undefined ? "" : ` (skipped: ${reason})`;
      },
      async joined(owner, from = begun(backend), options = {}) {
        const lease = from.lease(owner, contract.ttl, options);
        await lease.renew(signal);
        return lease;
      },
      async reader(services, from = begun(backend)) {
        const observation = from.observe({ services: services === "all" ? "all" : new Set(services) });
        await eventually(observation, (snapshot) =>
          services === "all"
            ? snapshot.complete
            : services.every((name) => instancesOf(snapshot, name) !== undefined),
        );
        return observation;
      },
    };

    registrationSuite(stage);
    ownershipSuite(stage);
    adoptionSuite(stage);
    observationSuite(stage);
    // These wait for leases that run out: all of their tests at once.
    handoverSuite(stage);
    expirySuite(stage);
    lastingSuite(stage);
    keysSuite(stage);
    locksSuite(stage);
    notesSuite(stage);
    endingSuite(stage);
    faultsSuite(stage);
  });
}
