import { describe, expect, it } from "vitest";
import { instancesOf } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { createHostLease } from "../../src/registrator/host-lease.ts";
import { someInstance } from "../backends/contract/suite.ts";

const signal = new AbortController().signal;
const owner = (engine: string, node = "host1") => ({ node, engine, run: `run of ${engine}` });

/** What a process keeps for the next one. */
function memory(text?: string) {
  const kept = { text };
  return {
    kept,
    read: async () => kept.text,
    write: async (next: string) => {
      kept.text = next;
    },
  };
}

describe("the host's lease in a process after an upgrade of Docker", () => {
  it("inherits from the owner that the process before remembered, without a gap", async () => {
    const backend = await openMemory();
    const kept = memory();
    const before = createHostLease(backend, 15, {}, kept);
    await before.renew(owner("OLD"), signal);
    const instance = someInstance(owner("OLD"));
    await before.heldBy(owner("OLD"))?.register(instance, signal);
    expect(kept.kept.text).toBe("host1/OLD");
    const observation = backend.observe({ services: "all" });
    const gone: unknown[] = [];
    observation.subscribe(() => {
      const observed = observation.current();
      if (observed.known && !instancesOf(observed.value, instance.service)?.length) gone.push(observed);
    });

    const after = createHostLease(backend, 15, {}, kept);
    await after.renew(owner("NEW"), signal);
    expect(kept.kept.text).toBe("host1/NEW");
    expect(await after.heldBy(owner("NEW"))?.owned(signal)).toHaveLength(1);
    expect(gone).toEqual([]);
    await backend.close();
  });

  it("is refused without that memory, and where another host is remembered", async () => {
    const backend = await openMemory();
    await createHostLease(backend, 15, {}).renew(owner("OLD"), signal);
    for (const text of [undefined, "host2/OLD", "host1/NEW"]) {
      const after = createHostLease(backend, 15, {}, memory(text));
      await expect(after.renew(owner("NEW"), signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
    }
    await backend.close();
  });
});
