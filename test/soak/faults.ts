// `npm run soak:faults`: every fault on every backend, not the one of each kind that `npm test` runs; see README.md.
import { spawn } from "node:child_process";
import { once } from "node:events";

const tests =
  process.argv.length > 2 ? process.argv.slice(2) : ["test/faults", "test/e2e/registrator-faults"];
const env = { ...process.env, PORTOLAN_TEST_FAULTS: "all" };
// Most of these faults are work for the machine, too: fewer at once than of the tests that wait.
const few = ["--maxWorkers", "3", "--maxConcurrency", "5"];
const child = spawn("npx", ["vitest", "run", ...few, ...tests], { env, stdio: "inherit" });
const [code] = await once(child, "exit");
process.exitCode = typeof code === "number" ? code : 1;
