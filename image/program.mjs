// Copies what runs of a checkout in which everything is built: the program, its templates, and the licences of the packages
// of which the program has copies.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const [, , folder] = process.argv;
if (folder === undefined) throw new Error("name the folder that is to have the program");

/** What developers need, and what another Node.js has compiled. */
const besides = ["dist/compiled", "dist/contract.mjs", "dist/types"];

mkdirSync(folder, { recursive: true });
for (const part of ["package.json", "portolan.schema.json", "templates", "dist"])
  cpSync(part, join(folder, part), { recursive: true, filter: (path) => !besides.includes(path) });

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const [path, { dev, devOptional }] of Object.entries(packages)) {
  // Some are for other systems, and not installed.
  if (path === "" || dev || devOptional || !existsSync(path)) continue;
  for (const file of readdirSync(path).filter((name) => /^(licen[cs]e|notice|copying)/i.test(name)))
    cpSync(join(path, file), join(folder, "licences", relative("node_modules", path), file));
}
