import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const read = (name: string) => readFileSync(join(import.meta.dirname, "..", name), "utf8");
const { dependencies, devDependencies } = JSON.parse(read("package.json")) as Record<
  "dependencies" | "devDependencies",
  Record<string, string>
>;

interface Locked {
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}
const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, Locked> };
const locked = Object.entries(packages).filter(([path]) => path !== "");

it("every package has one exact version, and a checksum", () => {
  const versions = Object.entries({ ...dependencies, ...devDependencies });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  expect(locked.length).toBeGreaterThan(versions.length);
  expect(locked.filter(([, { integrity }]) => !integrity?.startsWith("sha512-"))).toEqual([]);
});

it("no install script runs, here or anywhere in the tests; what has one works without it", () => {
  expect(read(".npmrc").split("\n")).toContain("ignore-scripts=true");
  const withScripts = locked.filter(([, { hasInstallScript, dev }]) => hasInstallScript && !dev);
  expect(withScripts.map(([path]) => path.replace("node_modules/", ""))).toEqual([
    // Faster ciphers for Docker by SSH, which is not used.
    "cpu-features",
    // Prints advice.
    "protobufjs",
    "ssh2",
  ]);
});
