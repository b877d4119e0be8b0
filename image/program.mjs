// Copies what runs of a checkout in which everything is built: the program, its templates, and of each package that it
// needs the files that Node.js can load, and the licences.

import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join } from "node:path";

const [, , folder] = process.argv;
if (folder === undefined) throw new Error("name the folder that is to have the program");

mkdirSync(folder, { recursive: true });
for (const part of ["package.json", "portolan.schema.json", "templates", "dist"])
  cpSync(part, join(folder, part), { recursive: true });

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const [path, { dev, devOptional }] of Object.entries(packages)) {
  // Some are for other systems, and not installed.
  if (path === "" || dev || devOptional || !existsSync(path)) continue;
  cpSync(path, join(folder, path), {
    recursive: true,
    filter: (file) => (statSync(file).isDirectory() ? basename(file) !== "node_modules" : isNeeded(file)),
  });
}

function isNeeded(file) {
  const loaded = [".js", ".cjs", ".mjs", ".json", ".node", ".wasm", ".proto"];
  return loaded.includes(extname(file)) || /^(licen[cs]e|notice|copying)/i.test(basename(file));
}
