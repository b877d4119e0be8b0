// Loaded before Portolan (`node --import`): ends the process at its N-th change of the world; see crash.test.ts.
import childProcess from "node:child_process";
import fs, { writeSync } from "node:fs";
import files, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { Socket } from "node:net";

/** Counted from the start of the process; 0: it is only counted, and told at the end. */
const dieAt = Number(process.env.PORTOLAN_TEST_DIE_AT);
const end = process.kill.bind(process);
let changes = 0;

/** Ends the process before the call, so that everything up to it has happened and nothing after. */
function failing<T extends object>(where: T, names: readonly (keyof T)[]): void {
  for (const name of names) {
    const real = where[name] as (...args: unknown[]) => unknown;
    const failing = function (this: unknown, ...args: unknown[]) {
      changes += 1;
      if (changes === dieAt) end(process.pid, "SIGKILL");
      return real.apply(this, args);
    };
    // With what `promisify` asks it for.
    where[name] = Object.defineProperties(failing, Object.getOwnPropertyDescriptors(real)) as T[keyof T];
  }
}

const probe = await files.open(import.meta.filename, "r");
failing(Object.getPrototypeOf(probe) as FileHandle, ["writeFile", "sync", "chmod", "chown"]);
await probe.close();
// Files, links and folders; programs that are run; what is said to HAProxy.
failing(fs, ["write", "fsync", "fchmod", "fchown"]);
failing(files, ["rename", "rm", "writeFile", "appendFile", "mkdir", "chmod", "chown", "link", "truncate"]);
failing(childProcess, ["spawn"]);
failing(Socket.prototype, ["connect", "write", "end"]);
syncBuiltinESMExports();

process.on("exit", () => {
  if (dieAt === 0) writeSync(2, `changes: ${changes}\n`);
});
