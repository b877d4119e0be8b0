import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { tempDir } from "../servers/run.ts";
import { startProcess } from "./process.ts";

const root = join(import.meta.dirname, "../..");

it("the bundle loads no package before a command needs it, so that it starts quickly", () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  // Beside dist, so that packages are found.
  const out = mkdtempSync(join(root, "node_modules", ".portolan-bundle-"));
  try {
    execFileSync(join(root, "node_modules/.bin/tsup"), ["--out-dir", out], { cwd: root, stdio: "ignore" });
    const bundle = readFileSync(join(out, "cli.js"), "utf8");
    const eager = [...bundle.matchAll(/^(?:import|\} from) .*?"([^"]+)";$/gm)].map(([, name = ""]) => name);
    expect(eager.filter((name) => name in dependencies)).toEqual([]);
    for (const name of Object.keys(dependencies)) {
      if (existsSync(join(out, `packages/${name}.cjs`))) expect(bundle).toContain(`"./packages/${name}.cjs"`);
      else expect(bundle).toMatch(new RegExp(`import\\("${name}["/]`));
    }
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

it("a registrator finds all that it needs in a few files, so that it starts quickly", async () => {
  const folder = tempDir("bundle");
  const words = ["--dry-run", "--docker", `unix://${folder}/none`, `file://${folder}/registry`];
  const program = startProcess(["registrator", ...words], folder, { NODE_DEBUG: "module" });
  expect(await program.ended).toBe(1);
  const loaded = [...program.stderr().matchAll(/ load "([^"]+)" for module /g)].map(([, file = ""]) => file);
  expect(loaded).toContain(join(root, "dist/packages/dockerode.cjs"));
  expect(loaded.filter((file) => file.includes("node_modules"))).toEqual([]);
  expect(loaded.length).toBeLessThan(10);
});
