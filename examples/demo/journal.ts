// What happens, each thing with its moment: milliseconds since the epoch, with fractions.
import { open } from "node:fs/promises";
import { openBackend } from "../../src/backends/index.ts";
import { type Instance, type Role, refKey, type State } from "../../src/instance.ts";
import { connectDocker } from "../../src/registrator/docker/client.ts";
import { demoLabel } from "./containers.ts";
import type { DemoDocker } from "./docker.ts";
import type { Life } from "./life.ts";
import type { Pipeline } from "./pipeline.ts";

/** Something that Docker did to one of the demo's containers. */
export interface ContainerEvent {
  readonly at: number;
  /** Docker's word: `start`, `kill`, `die` and others. */
  readonly action: string;
  /** The container's id. */
  readonly id: string;
  /** Its name, its labels and, for `kill`, the signal's number. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A record of the backend that is new, different or gone, when a reader sees it. */
export interface RecordChange {
  readonly at: number;
  /** The container's id and name. */
  readonly id: string;
  readonly name: string;
  readonly state: State | "removed";
  /** Of what is removed: the last one. */
  readonly role: Role | undefined;
}

/** A new configuration file. */
export interface Applied {
  /** When the file was in its place, and when HAProxy had been told. */
  readonly swappedAt: number;
  readonly reloadedAt: number;
  /** The services whose instances changed. */
  readonly services: readonly string[];
  /** How HAProxy was told: by its runtime API, or by a reload. */
  readonly by: string;
}

/** Everything since the start, oldest first; the lists grow. */
export interface Journal {
  readonly events: readonly ContainerEvent[];
  readonly records: readonly RecordChange[];
  readonly applied: readonly Applied[];
}

/** Now, on the same scale as the moments of the journal. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Watches Docker, the backend and the templater's log, each on its own, until the demo ends. */
export async function startJournal(
  life: Life,
  { docker, pipeline }: { readonly docker: DemoDocker; readonly pipeline: Pipeline },
): Promise<Journal> {
  const events: ContainerEvent[] = [];
  const records: RecordChange[] = [];
  const applied: Applied[] = [];
  await Promise.all([
    watchDocker(life, docker.url, (event) => events.push(event)),
    watchRecords(life, pipeline.backend, (change) => records.push(change)),
    watchLog(life, pipeline.templater.logFile, (one) => applied.push(one)),
  ]);
  return { events, records, applied };
}

async function watchDocker(life: Life, url: string, seen: (event: ContainerEvent) => void): Promise<void> {
  const { signal } = life;
  const client = await connectDocker(url, process.env, signal);
  // A Docker in a virtual machine may have a clock of its own; a smaller difference is only the call's time.
  const difference = client.now * 1000 - now();
  const skew = Math.abs(difference) > 1_000 ? difference : 0;
  const events = await client.events(client.now, signal);
  const reading = async () => {
    for await (const { type, action, id, attributes, time } of events) {
      if (type !== "container" || attributes[demoLabel] === undefined) continue;
      seen({ at: time * 1000 - skew, action, id, attributes });
    }
  };
  let isOpen = true;
  reading()
    .catch(() => {})
    .finally(() => {
      isOpen = false;
    });
  life.needs("Docker's stream of events", () => isOpen);
}

/** Tells of each change of a record that a reader of the backend sees. */
export async function watchRecords(
  life: Life,
  url: string,
  seen: (change: RecordChange) => void,
): Promise<void> {
  const backend = await openBackend(url, { env: {} });
  life.atEnd("reader of the backend", backend.close);
  const observation = backend.observe({ services: "all" });
  let before: ReadonlyMap<string, Instance> = new Map();
  observation.subscribe(() => {
    const at = now();
    const observed = observation.current();
    if (!observed.known) return;
    const all = [...observed.value.services.values()].flat();
    const after = new Map(all.map((instance) => [refKey(instance), instance]));
    const tell = ({ container, role }: Instance, state: RecordChange["state"]) =>
      seen({ at, id: container?.id ?? "", name: container?.name ?? "", state, role });
    for (const [key, instance] of after) {
      if (before.get(key) !== instance) tell(instance, instance.state);
    }
    for (const [key, instance] of before) {
      if (!after.has(key)) tell(instance, "removed");
    }
    before = after;
  });
  await life.until("the backend to be readable", () => observation.current().known);
}

/** The line that the templater logs when HAProxy has been told of a new file. */
interface AppliedLine {
  readonly msg: "applied";
  /** ISO 8601. */
  readonly time: string;
  readonly services: readonly string[];
  readonly by: string;
  readonly tookMs: { readonly reload?: number };
}

/** Tells of each new file, as the templater logs it. */
export async function watchLog(life: Life, file: string, seen: (applied: Applied) => void): Promise<void> {
  const log = await open(file);
  const chunk = Buffer.alloc(64 * 1024);
  let rest = "";
  let at = 0;
  const read = async () => {
    for (;;) {
      const { bytesRead } = await log.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      const lines = (rest + chunk.toString("utf8", 0, bytesRead)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const entry = JSON.parse(line) as AppliedLine | { readonly msg: "" };
        if (entry.msg !== "applied") continue;
        const reloadedAt = Date.parse(entry.time);
        const swappedAt = reloadedAt - (entry.tookMs.reload ?? 0);
        seen({ reloadedAt, swappedAt, services: entry.services, by: entry.by });
      }
    }
  };
  await read();
  let reading: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    reading = reading.then(read);
  }, 20);
  life.atEnd("reader of the log", async () => {
    clearInterval(timer);
    await reading;
    await log.close();
  });
}
