import { once } from "node:events";
import { mkdir, open, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
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
  const swaps = await watchSwaps(destination);
  return {
    show: (services) => swaps.timed(() => cell.set({ services, complete: true, invalid: new Map() })),
    async stop() {
      await swaps.close();
      await daemon.stop();
      await state.close();
    },
  };
}

/** The floor: the text into a temporary file that is on the disk, and a rename. */
export async function startBareKeeper(render: (services: Services) => string, dir: string): Promise<Keeper> {
  await mkdir(dir, { recursive: true });
  const destination = join(dir, "haproxy.cfg");
  const swaps = await watchSwaps(destination);
  const write = async (services: Services) => {
    const file = await open(`${destination}.tmp`, "w");
    await file.writeFile(render(services));
    await file.sync();
    await file.close();
    await rename(`${destination}.tmp`, destination);
  };
  return {
    show: (services) => swaps.timed(() => write(services)),
    stop: swaps.close,
  };
}

/** Measures how long it takes until a file is renamed into its place. */
interface Swaps {
  /** ms from the beginning of `work` to the rename. */
  timed(work: () => unknown): Promise<number>;
  close(): Promise<void>;
}

/** Tells when a file is renamed to its name, in ns of `process.hrtime`. */
const watcher = `
const { parentPort, workerData: { folder, file } } = require("node:worker_threads");
require("node:fs").watch(folder, (event, name) => {
  if (event === "rename" && name === file) parentPort.postMessage(process.hrtime.bigint());
});
parentPort.postMessage(undefined);
`;

/** From a thread of its own, as whoever reads the file has one: what is done after a rename does not delay the news of it. */
async function watchSwaps(path: string): Promise<Swaps> {
  const workerData = { folder: dirname(path), file: basename(path) };
  const worker = new Worker(watcher, { eval: true, workerData });
  await once(worker, "message");
  return {
    async timed(work) {
      const swapped = once(worker, "message");
      const begun = process.hrtime.bigint();
      await work();
      const [at] = (await swapped) as [bigint];
      return Number(at - begun) / 1e6;
    },
    close: async () => void (await worker.terminate()),
  };
}
