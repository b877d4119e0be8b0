import type { Backend, Lease, LeaseOptions, Owner } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { PortolanError } from "../../src/errors.ts";
import type { Instance } from "../../src/instance.ts";
import { chance, pause } from "./virtual-clock.ts";

/** `memory:` behind faults, in virtual time. */
export async function faultyMemory() {
  const memory = await openMemory();
  const script = {
    mode: "ok" as "ok" | "refuses" | "hangs",
    /** The longest time that a call takes, in ms. */
    slow: 5,
    /** Leases end, and records with them where so. */
    lost: false,
    writes: [] as string[],
    /** Called with each record before it is removed. */
    removes: (_record: Instance): void => {},
  };
  /** A call fails before or after it has taken effect. */
  const act = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    const unreachable = () => new PortolanError("BACKEND_UNREACHABLE", "no answer");
    const late = chance() < 0.5;
    const trouble = async () => {
      if (script.mode === "ok") return;
      if (script.mode === "hangs") await pause(5000, signal);
      throw unreachable();
    };
    await pause(chance() * script.slow, signal);
    if (!late) await trouble();
    const result = await work();
    await pause(chance() * script.slow, signal);
    if (late) await trouble();
    return result;
  };
  const lease = (owner: Owner, _ttl: number, options?: LeaseOptions): Lease => {
    const held = memory.lease(owner, 15, options);
    let taken = false;
    const own = async () => {
      if (script.lost) throw new PortolanError("LEASE_LOST", "the lease is gone");
    };
    return {
      renew: (signal) =>
        act(signal, async () => {
          const { ttl, fresh } = await held.renew(signal);
          const anew = fresh || script.lost || !taken;
          [script.lost, taken] = [false, true];
          return { ttl, fresh: anew };
        }),
      register: (instance, signal) =>
        act(signal, async () => {
          await own();
          script.writes.push(`+ ${instance.id} ${instance.state}`);
          return held.register(instance, signal);
        }),
      deregister: (ref, signal) =>
        act(signal, async () => {
          await own();
          script.writes.push(`- ${ref.id}`);
          const record = records().find(({ id, service }) => id === ref.id && service === ref.service);
          if (record) script.removes(record);
          await held.deregister(ref, signal);
        }),
      owned: (signal) =>
        act(signal, async () => {
          await own();
          return held.owned(signal);
        }),
      release: (signal) => act(signal, () => held.release(signal)),
    };
  };
  const records = (): readonly Instance[] => {
    const now = memory.observe({ services: "all" }).current();
    return now.known ? [...now.value.services.values()].flat() : [];
  };
  const backend: Backend = { ...memory, lease };
  return {
    backend,
    script,
    records,
    /** Removes all records of an owner, as an operator or a lost disk does: nothing tells of it. */
    wipe: (owner: Owner) => memory.lease(owner, 15).release(new AbortController().signal),
    put: (owner: Owner, instance: Instance) =>
      memory.lease(owner, 15).register(instance, new AbortController().signal),
  };
}
export type FaultyMemory = Awaited<ReturnType<typeof faultyMemory>>;
