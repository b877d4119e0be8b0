import { defineConfig } from "vitest/config";
import { SlowFirst } from "./test/slow-first.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/global-setup.ts"],
    sequence: { sequencer: SlowFirst },
    pool: "forks",
    // Also on two processors: the tests mostly wait, for leases that run out and for programs that start.
    maxWorkers: 5,
    // As many tests of the backends' contract wait at the same time.
    maxConcurrency: 10,
    // Beyond what a test takes on a machine that is busy with something else, too; waits have deadlines of their own.
    testTimeout: 180_000,
    hookTimeout: 240_000,
  },
});
