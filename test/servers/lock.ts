import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Does `work` while no other process of this machine does work under the same `file`.
 * The lock is the kernel's (flock), held by a child that reads from us: however we end, it is freed.
 * @throws an error when the lock is not had within `within` ms
 */
export async function withLock<T>(file: string, within: number, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const seconds = String(Math.ceil(within / 1000));
  const holder = spawn("flock", ["--wait", seconds, file, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const ended = new Promise<void>((resolve) => holder.once("close", () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.once("error", (cause) => reject(new Error(`flock: cannot be run: ${cause.message}`, { cause })));
      holder.once("exit", (code) => {
        const timedOut = 1; // see flock(1)
        const why =
          code === timedOut ? `another process has it for ${seconds} s already; end it` : "is it ours?";
        reject(new Error(`${file} cannot be locked: ${why}`));
      });
    });
    return await work();
  } finally {
    holder.stdin.on("error", () => undefined);
    holder.stdin.end();
    await ended;
  }
}
