import { watch } from "node:fs";
import { mkdir, open, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Snapshot } from "../../../src/backends/backend.ts";
import { openMemory } from "../../../src/backends/memory.ts";
import { createLog } from "../../../src/log.ts";
import { createCell } from "../../../src/source.ts";
import { openStateDir } from "../../../src/state-dir.ts";
import { startTemplater } from "../../../src/templater/index.ts";
import type { BenchTemplate } from "./templates.ts";
import type { Services } from "./world.ts";

/** Keeps one file equal to what it is told. */
export interface Keeper {
  /** Resolves with the ms from being told to the file's rename. */
  show(services: Services): Promise<number>;
  stop(): Promise<void>;
}

/** The templater, over a backend that says what it is told; it does not wait for more, checks nothing and reloads nothing. */
export async function startKeeper(template: BenchTemplate, dir: string): Promise<Keeper> {
  await mkdir(join(dir, "out"), { recursive: true });
  const [source, destination] = [join(dir, "haproxy.cfg.hbs"), join(dir, "out/haproxy.cfg")];
  await writeFile(source, template.text);
  const cell = createCell<Snapshot>();
  const observation = { ...cell, refresh: () => {}, want: () => {}, close: async () => {} };
  const backend = { ...(await openMemory()), observe: () => observation };
  const state = await openStateDir(join(dir, "state"));
  const daemon = startTemplater({
    backend,
    state,
    targets: [
      {
        source,
        destination,
        reload: { kind: "none" },
        commandTimeout: 10_000,
        minInterval: 0,
        wait: { min: 0, max: 2_000 },
      },
    ],
    env: {},
    node: "bench",
    log: createLog({ level: "error", format: "pretty", colour: false }),
  });
  const swaps = watchSwaps(destination);
  return {
    async show(services) {
      const swapped = swaps.next();
      const begun = performance.now();
      cell.set({ services, complete: true, invalid: new Map() });
      return (await swapped) - begun;
    },
    async stop() {
      swaps.close();
      await daemon.stop();
      await state.close();
    },
  };
}

/** The floor: the text into a temporary file that is on the disk, and a rename. */
export async function startBareKeeper(render: (services: Services) => string, dir: string): Promise<Keeper> {
  await mkdir(dir, { recursive: true });
  const destination = join(dir, "haproxy.cfg");
  const swaps = watchSwaps(destination);
  return {
    async show(services) {
      const swapped = swaps.next();
      const begun = performance.now();
      const file = await open(`${destination}.tmp`, "w");
      await file.writeFile(render(services));
      await file.sync();
      await file.close();
      await rename(`${destination}.tmp`, destination);
      return (await swapped) - begun;
    },
    stop: async () => swaps.close(),
  };
}

/** The moments at which a file is renamed into its place. */
function watchSwaps(path: string): { next(): Promise<number>; close(): void } {
  let take = (_at: number) => {};
  const watcher = watch(dirname(path), (event, name) => {
    if (event === "rename" && name === basename(path)) take(performance.now());
  });
  return {
    next: () =>
      new Promise((resolve) => {
        take = resolve;
      }),
    close: () => watcher.close(),
  };
}
