// The root file system of an image that can run Node.js and nothing else: the running Node.js, the libraries that it
// has open, and the folders that a program expects. Runs in any image that has Node.js, without a shell.

import { lookup } from "node:dns/promises";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

const [, , root] = process.argv;
if (root === undefined) throw new Error("name the folder that is to become the root");

const put = (from, to = from) => {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  cpSync(from, join(root, to), { dereference: true });
};

put(process.execPath, "/usr/local/bin/node");
// glibc opens what it asks for names when it is asked for one.
await lookup("localhost").catch(() => {});
const mapped = readFileSync("/proc/self/maps", "utf8").matchAll(/ (\/\S+\.so\S*)$/gm);
const libraries = new Set([...mapped].map(([, path]) => path));
for (const library of libraries) putLibrary(library);
for (const file of [process.execPath, ...libraries].filter(isOfNode))
  for (const part of partsIn(file)) put(part);
const loader = loaderOf(process.execPath);
if (loader !== undefined) put(loader);

const user = 65532;
for (const folder of ["/tmp", "/var/lib/portolan", "/etc/portolan"])
  mkdirSync(join(root, folder), { recursive: true });
chmodSync(join(root, "/tmp"), 0o1777);
chownSync(join(root, "/var/lib/portolan"), user, user);
writeFileSync(join(root, "/etc/passwd"), `root:x:0:0::/:\nportolan:x:${user}:${user}::/var/lib/portolan:\n`);
writeFileSync(join(root, "/etc/group"), `root:x:0:\nportolan:x:${user}:\n`);

/** A library with the links beside it: programs ask for it by a shorter name. */
function putLibrary(path) {
  put(path);
  const folder = dirname(path);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const link = join(folder, entry.name);
    if (entry.isSymbolicLink() && realpath(link) === path) symlinkSync(basename(path), join(root, link));
  }
}

function realpath(path) {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Whether a file is Node.js, which may be a library of a small program. */
function isOfNode(path) {
  return /^(lib)?node/.test(basename(path));
}

/** The scripts that Debian's Node.js has beside it instead of in it, by their paths in its file. */
function partsIn(file) {
  const bytes = readFileSync(file);
  const folder = "/usr/share/nodejs/";
  const parts = new Set();
  for (let at = bytes.indexOf(folder); at >= 0; at = bytes.indexOf(folder, at + 1)) {
    const path = bytes.toString("latin1", at, bytes.indexOf(0, at));
    if (path.endsWith(".js")) parts.add(path);
  }
  return parts;
}

/** The path of the dynamic loader, as the executable names it near its start; undefined for a static one. */
function loaderOf(executable) {
  const start = Buffer.alloc(4096);
  readSync(openSync(executable, "r"), start);
  return /\/lib[\w/.-]*\/ld-[\w.-]+/.exec(start.toString("latin1"))?.[0];
}
