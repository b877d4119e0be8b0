// The demo's own life: whatever it starts is taken away again, at its end, at Ctrl-C and when something fails.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { line, red, step } from "./terminal.ts";

/** What every part of the demo gets. */
export interface Life {
  /** Aborts when somebody ends the demo. */
  readonly signal: AbortSignal;
  /** Notes how something is taken away at the end; the latest goes first. */
  atEnd(what: string, undo: () => unknown): void;
  /** Notes where logs are, for the case that something fails. */
  logsIn(folder: string): void;
  /** Notes a process without which waiting is in vain. */
  needs(name: string, isRunning: () => boolean): void;
  /** Shows what `work` does and how long it took (see terminal.ts); nothing is begun after an interruption. */
  step: typeof step;
  /**
   * Waits until `look` gives something truthy.
   * @throws an error that names `what`: after `within` ms (default 15 s), at Ctrl-C, or when a process has ended
   */
  until<T>(what: string, look: () => T | undefined | false, within?: number): Promise<T>;
}

interface Undo {
  readonly what: string;
  readonly undo: () => unknown;
}

/** ms after which another signal is a second one. */
const twice = 500;

/** ms that an interrupted step has to come to its end, before everything is taken away. */
const lastStep = 15_000;

/**
 * Runs `story`, then takes everything away.
 * @returns the exit code: 0; 1 when it failed; 130 when it was interrupted before it returned
 */
export async function runLife(story: (life: Life) => Promise<void>): Promise<number> {
  const ending = new AbortController();
  const { signal } = ending;
  const undos: Undo[] = [];
  const needed: { readonly name: string; readonly isRunning: () => boolean }[] = [];
  const folders: string[] = [];
  let first = Number.POSITIVE_INFINITY;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      // Somebody in a hurry: what was started is killed, and the next run tidies up. npm may pass on a signal
      // that the terminal has sent to us as well.
      if (performance.now() > first + twice) process.exit(130);
      first = Math.min(first, performance.now());
      ending.abort();
    });
  }

  const life: Life = {
    signal,
    atEnd: (what, undo) => void undos.push({ what, undo }),
    logsIn: (folder) => void folders.push(folder),
    needs: (name, isRunning) => void needed.push({ name, isRunning }),
    step(label, work, outcome) {
      signal.throwIfAborted();
      return step(label, work, outcome);
    },
    async until(what, look, within = 15_000) {
      const end = performance.now() + within;
      for (;;) {
        signal.throwIfAborted();
        const found = look();
        if (found !== undefined && found !== false) return found;
        const ended = needed.find(({ isRunning }) => !isRunning());
        if (ended) throw new Error(`${ended.name} has ended while the demo waited for ${what}`);
        if (performance.now() > end) throw new Error(`waited ${within / 1000} s for ${what}, in vain`);
        await sleep(10);
      }
    },
  };

  const tale = story(life).then(
    () => 0,
    (error: unknown) => {
      if (signal.aborted) {
        line();
        line("Interrupted.");
        return 130;
      }
      line();
      line(`${red("It failed:")} ${error instanceof Error ? error.message : error}`);
      const kept = keepLogs(folders);
      if (kept !== undefined) line(`Its logs are in ${kept}`);
      return 1;
    },
  );
  const code = await Promise.race([tale, aborted(signal).then(() => sleep(lastStep, 130, { ref: false }))]);

  line();
  const left = await step("Taking everything away", () => undoAll(undos));
  for (const problem of left) line(red(problem));
  return left.length === 0 ? code : code || 1;
}

/** Undoes the latest first; returns what could not be undone, with the reasons. */
async function undoAll(undos: readonly Undo[]): Promise<readonly string[]> {
  const left: string[] = [];
  for (const { what, undo } of [...undos].reverse()) {
    try {
      await undo();
    } catch (error) {
      left.push(`${what}: not taken away: ${error instanceof Error ? error.message : error}`);
    }
  }
  return left;
}

/** Copies the logs out of folders that will be removed; returns where they are. */
function keepLogs(folders: readonly string[]): string | undefined {
  const logs = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      // Not those that a private Docker keeps of its containers.
      .filter((name) => name.endsWith(".log") && !name.includes("/containers/"))
      .map((name) => join(folder, name)),
  );
  if (logs.length === 0) return undefined;
  const kept = logFolder();
  for (const log of logs) cpSync(log, join(kept, basename(log)));
  return `${kept}: ${logs.map((log) => basename(log)).join(", ")}`;
}

/** An empty `.demo` in the checkout, or a temporary folder where that cannot be written. */
function logFolder(): string {
  const folder = join(import.meta.dirname, "../../.demo");
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    return folder;
  } catch {
    return mkdtempSync(join(tmpdir(), "portolan-demo-logs-"));
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
