// Installs one group once, and dies at the N-th change that it makes on the disk; driven by install-crash.test.ts.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { text } from "node:stream/consumers";
import type { Target } from "../../src/templater/target.ts";

/** What it is told, as JSON on its standard input, once it is up. */
export interface FailpointTask {
  /** Without a text: the file is to go. */
  readonly files: readonly { readonly text: string | undefined; readonly target: Target }[];
  readonly stateDir: string;
  /** Counted from the state folder's opening; 0: it does not die. */
  readonly dieAt: number;
}

const { files, stateDir, dieAt } = JSON.parse(await text(process.stdin)) as FailpointTask;

let isCounting = false;
let changes = 0;
const step = () => {
  if (!isCounting) return;
  changes += 1;
  if (changes === dieAt) process.kill(process.pid, "SIGKILL");
};

/** Dies before the call, so that everything up to it has happened and nothing after. */
function failing<T extends object>(where: T, names: readonly (keyof T)[]): void {
  for (const name of names) {
    const real = where[name] as (...args: unknown[]) => unknown;
    const failing = function (this: unknown, ...args: unknown[]) {
      step();
      return real.apply(this, args);
    };
    // With what `promisify` asks it for.
    where[name] = Object.defineProperties(failing, Object.getOwnPropertyDescriptors(real)) as T[keyof T];
  }
}
failing(fs, ["open", "write", "fsync", "fchmod", "fchown"]);
failing(fs.promises, ["rename", "rm", "writeFile", "mkdir", "chmod", "chown"]);
syncBuiltinESMExports();

// Loaded when its calls fail.
const { openStateDir } = await import("../../src/state-dir.ts");
const { openRecords } = await import("../../src/templater/records.ts");
const { install } = await import("../../src/templater/install.ts");
const state = await openStateDir(stateDir);
const records = await openRecords(state);
isCounting = true;

try {
  await install({
    files,
    turn: { signal: new AbortController().signal, settled: async () => true },
    records,
    revision: 1,
    changed: [],
    env: process.env,
    log: { warn: () => {} },
  });
} catch (error) {
  if ((error as { code?: string }).code !== "RELOAD_FAILED") throw error;
}
await state.close();
