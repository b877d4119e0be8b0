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
    return { open: async () => shared, close: async () => {} };
  },
});
