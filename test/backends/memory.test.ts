import { openMemory } from "../../src/backends/memory.ts";
import { contractSuite } from "./contract/suite.ts";

contractSuite({
  name: "memory:",
  ttl: 2,
  skips: {
    "two connections": "the records live in one process",
    expiry: "whoever could read a record dies together with its owner",
  },
  async start() {
    const shared = await openMemory();
    return {
      open: async () => shared,
      // Nothing looks at the owner of what is registered.
      async plant(instance) {
        const lease = shared.lease({ node: "planter", engine: "X", run: "1" }, 2);
        await lease.register(instance, new AbortController().signal);
      },
      close: async () => {},
    };
  },
});
