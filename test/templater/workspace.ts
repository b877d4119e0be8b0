import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Fields } from "../../src/log.ts";
import type { Turn } from "../../src/loop.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { type Installed, type InstallRequest, install } from "../../src/templater/install.ts";
import { openRecords, type Records } from "../../src/templater/records.ts";
import type { Target } from "../../src/templater/target.ts";
import { exec } from "../servers/exec.ts";
import { tempDir } from "../servers/run.ts";

/** A turn that is never overtaken. */
export const calm: Turn = { signal: new AbortController().signal, settled: async () => true };

/** A target that nobody is told of, and that is written at once. */
export function quietTarget(destination: string): Target {
  return {
    source: "/t.hbs",
    destination,
    reload: { kind: "none" },
    commandTimeout: 10_000,
    wait: { min: 0, max: 0 },
    minInterval: 0,
  };
}

/** One destination in a folder of its own, a state folder, and a make-believe proxy. */
export interface Workspace {
  /** What the proxy's folder holds: the destination and nothing else, when all is well. */
  readonly folder: string;
  readonly destination: string;
  /** The content that the proxy took at its last reload; undefined before the first. */
  running(): string | undefined;
  /** How often the proxy was reloaded. */
  reloads(): number;
  readonly records: Records;
  /** What is recorded on the disk, as the next process finds it. */
  reopen(): Promise<Records>;
  readonly warnings: readonly Fields[];
  target(changes?: Partial<Target>): Target;
  install(text: string, changes?: Partial<Target>, request?: Partial<InstallRequest>): Promise<Installed>;
  live(): string | undefined;
  /** Names in `folder`. */
  names(): readonly string[];
}

/** A workspace in a private folder; `destination` is below its `proxy` folder. */
export async function createWorkspace(destination = "proxy.cfg"): Promise<Workspace> {
  const dir = tempDir("install");
  const folder = join(dir, "proxy");
  await mkdir(folder);
  const state = await openStateDir(join(dir, "state"));
  onTestFinished(state.close);
  const records = await openRecords(state);
  const warnings: Fields[] = [];
  const running = join(dir, "running");
  const count = join(dir, "reloads");
  const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

  const space: Workspace = {
    folder,
    destination: join(folder, destination),
    running: () => read(running),
    reloads: () => (read(count) ?? "").length,
    records,
    reopen: () => openRecords(state),
    warnings,
    target: (changes) => ({
      source: "/templates/proxy.cfg.hbs",
      destination: space.destination,
      reload: {
        kind: "command",
        command: { shell: `cp "$PORTOLAN_DESTINATION" ${running} && printf . >> ${count}` },
      },
      commandTimeout: 10_000,
      wait: { min: 0, max: 0 },
      minInterval: 0,
      ...changes,
    }),
    install: (text, changes, request) =>
      install({
        files: [{ text, target: space.target(changes) }],
        turn: calm,
        records,
        revision: 1,
        changed: ["web"],
        env: process.env,
        log: { warn: (fields, message) => void warnings.push({ ...fields, message }) },
        ...request,
      }),
    live: () => read(space.destination),
    names: () => readdirSync(folder).sort(),
  };
  return space;
}

/** Mounts onto `path` until the test has finished. */
export async function mount(args: readonly string[], path: string): Promise<void> {
  await exec("mount", [...args, path]);
  onTestFinished(async () => void (await exec("umount", ["--lazy", path])));
}
