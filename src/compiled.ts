import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { debuglog } from "node:util";
import { Script } from "node:vm";

// Files of the built program are CommonJS modules in the function that Node.js would put around them. Compiling them takes a
// third of a start, so what V8 has compiled can be kept beside them: see compile-ahead.ts. V8 itself refuses what another V8
// has compiled, or one with other flags; but it knows a source by its length only, and does not survive what is damaged.

type Wrapper = (
  exports: object,
  require: (name: string) => unknown,
  module: { exports: object },
  file: string,
  folder: string,
) => void;

interface Loaded {
  readonly script: Script;
  readonly module: { exports: object };
}

/** Where the program was built to. */
const folder = import.meta.dirname;
/** In it: for other versions of Node.js, and for other processors, there may be others. */
const kept = join(folder, "compiled", `${process.version}-${process.arch}`);

/** `NODE_DEBUG=portolan` tells of each file. */
const debug = debuglog("portolan");

const loaded = new Map<string, Loaded>();

/** What a file of the built program exports; `name` is its path below `dist`. Loaded once. */
export function loadCompiled(name: string): object {
  const known = loaded.get(name);
  if (known) return known.module.exports;
  const file = join(folder, name);
  const source = readFileSync(file);
  const cachedData = compiledOf(name, source);
  const script = new Script(source.toString("latin1"), { filename: file, ...(cachedData && { cachedData }) });
  debug(
    "load %s, %s",
    file,
    cachedData && script.cachedDataRejected === false ? "compiled before" : "compiled now",
  );
  const module = { exports: {} };
  const require = createRequire(file);
  const load = (wanted: string) =>
    wanted.startsWith("./packages/") ? loadCompiled(wanted.slice(2)) : require(wanted);
  (script.runInThisContext() as Wrapper)(module.exports, load, module, file, dirname(file));
  // One that throws is no half of a module for whoever asks for it next.
  loaded.set(name, { script, module });
  return module.exports;
}

/** Keeps what V8 has compiled so far of each file that was loaded, for the next process. */
export function keepCompiled(): void {
  for (const [name, { script }] of loaded) {
    const file = join(kept, name);
    const compiled = script.createCachedData();
    const sum = sumOf(readFileSync(join(folder, name)), compiled);
    const draft = `${file}.${process.pid}`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(draft, Buffer.concat([sum, compiled]));
    renameSync(draft, file);
  }
}

/** What was compiled of a source before; undefined when nothing is kept, or when that is damaged or another's. */
function compiledOf(name: string, source: Buffer): Buffer | undefined {
  try {
    const all = readFileSync(join(kept, name));
    const compiled = all.subarray(sumLength);
    return all.subarray(0, sumLength).equals(sumOf(source, compiled)) ? compiled : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes of a SHA-256. */
const sumLength = 32;

function sumOf(source: Buffer, compiled: Buffer): Buffer {
  return createHash("sha256").update(source).update(compiled).digest();
}
