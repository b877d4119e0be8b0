// What every `npm run` of a fresh clone needs first: the locked packages and the built executable.
// Plain JavaScript without dependencies, because it runs before there are any.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));
const npm = (args) => execFileSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2] });

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Portolan needs Node.js 20.19 or newer; this is ${process.version}.`);
  process.exit(1);
}

// npm writes this file last, so it is older than the lock file exactly when an install is due.
const installed = join(root, "node_modules", ".package-lock.json");
if (newest([join(root, "package-lock.json")]) > newest([installed])) {
  console.error("prepare: npm install");
  // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, and registry mirrors
  // do not hold all of those. The locked versions are installed all the same, and nothing is written back.
  npm(["install", "--no-save"]);
}

const sources = [
  "src",
  "test/backends/contract",
  "package.json",
  "tsup.config.ts",
  "tsup.etcd-protocol.ts",
  "tsconfig.json",
].map((name) => join(root, name));
if (newest(sources) > newest([join(root, "dist", "cli.js")])) {
  console.error("prepare: npm run build");
  npm(["run", "--silent", "build"]);
}

/** The latest modification among the files below `paths`, in ms; 0 when none exists. */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    if (!existsSync(path)) continue;
    const stat = statSync(path);
    if (stat.isDirectory())
      latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
    else latest = Math.max(latest, stat.mtimeMs);
  }
  return latest;
}
