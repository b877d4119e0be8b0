import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

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
    for (const name of ["etcd3", "handlebars"]) expect(bundle).toContain(`import("${name}")`);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
