// The contract suite as the package gives it to backends of other people: by its name, built.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { exec } from "../servers/exec.ts";
import { tempDir } from "../servers/run.ts";

const root = join(import.meta.dirname, "../..");

it("is run by a project that has nothing of ours but the package", async () => {
  const dir = tempDir("third-party");
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(root, join(dir, "node_modules/portolan"));
  symlinkSync(join(root, "node_modules/vitest"), join(dir, "node_modules/vitest"));
  writeFileSync(
    join(dir, "mine.test.js"),
    `import { contractSuite } from "portolan/contract";
     import { openMemory } from ${JSON.stringify(join(root, "src/backends/memory.ts"))};
     const skips = { "two connections": "one process", expiry: "nothing dies alone" };
     const shared = await openMemory();
     const start = async () => ({ open: async () => shared, close: async () => {} });
     contractSuite({ name: "mine:", ttl: 1, skips, start });
    `,
  );
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const output = await exec(process.execPath, [vitest, "run", "--root", dir, "--reporter", "verbose"], {
    cwd: dir,
    env: { NO_COLOR: "1" },
  });
  expect(output).toContain("mine: keeps the backend contract > registration");
  expect(output).toContain("(skipped: nothing dies alone)");
  expect(output).not.toContain("failed");
});

it("is described by types, also of what a backend is made of", async () => {
  const dir = tempDir("types");
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  await exec(process.execPath, [tsc, "-p", "tsconfig.types.json", "--outDir", dir], { cwd: root });
  writeFileSync(
    join(dir, "mine.ts"),
    `import { type Backend, type Contract, contractSuite, type Lease } from "./test/backends/contract/suite.js";
     export const mine = (backend: Backend, contract: Contract): Lease => {
       contractSuite(contract);
       return backend.lease({ node: "n", engine: "e", run: "r" }, 15, { inherits: "n/before" });
     };
    `,
  );
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  const strict = ["--noEmit", "--strict", "--skipLibCheck", "--module", "NodeNext", "--target", "ES2023"];
  await exec(process.execPath, [tsc, ...strict, "--types", "node", "mine.ts"], { cwd: dir });
});
