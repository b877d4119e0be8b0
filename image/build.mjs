// Builds Portolan where the image is built. A context that holds what was built before, which a checkout's does not, is
// taken as it is: so it is done where npm reaches no packages.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

const npm = (...args) => execFileSync("npm", args, { stdio: "inherit" });

if (!existsSync("dist/cli.js")) {
  npm("install", "--no-save", "--no-progress");
  npm("exec", "tsup");
}
