import { appendFile, mkdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Snapshot } from "../backends/backend.ts";
import { pause } from "../clock.ts";
import { createFile, hasCode, renameFile } from "../durable.ts";
import { coded } from "../errors.ts";
import { compare, decodeInstance, encodeInstance, type Instance } from "../instance.ts";
import type { StateDir } from "../state-dir.ts";
import { sha256 } from "./hash.ts";

/**
 * The last world from which a target was rendered, in the state folder: `last-good/<name>.<hash>`, a line of JSON
 * for each service, of which the last one counts. A change appends the lines of the services that changed, so
 * that it costs what changed and not what there is.
 */
export interface LastGood {
  /** What was kept, and when; undefined when nothing was, or nothing of it can be read. Rejects with FAILED. */
  read(): Promise<{ readonly snapshot: Snapshot; readonly at: string } | undefined>;
  /**
   * Keeps a snapshot instead of the one before. Calls are to be made one after the other. Rejects with FAILED;
   * the next call then writes everything.
   */
  keep(snapshot: Snapshot): Promise<void>;
}

/** One line: a service, or that a service which is not listed has no instances. */
interface Line {
  readonly service?: string;
  /** Absent: the service is gone. */
  readonly instances?: readonly unknown[];
  readonly complete?: boolean;
}

/** The last good snapshot of what is written to these destinations. */
export function openLastGood(state: Pick<StateDir, "path">, destinations: readonly string[]): LastGood {
  const name = basename(destinations[0] ?? "").replace(/[^\w.-]/g, "_");
  const hash = sha256(destinations.join("\0")).slice(0, 16);
  const path = join(state.path, "last-good", `${name.slice(0, 100)}.${hash}`);
  /** What the file says; undefined when it has to be written as a whole. */
  let kept: Snapshot | undefined;
  let lines = 0;
  let count = 0;

  const usable = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      kept = undefined;
      throw coded("FAILED", error, `${path} cannot be used: `);
    }
  };

  const rewrite = async (snapshot: Snapshot) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    count += 1;
    const draft = join(dirname(path), `.${basename(path)}.${process.pid}.${count}`);
    const text = [`${JSON.stringify({ complete: snapshot.complete })}\n`];
    for (const [service, list] of snapshot.services) {
      text.push(lineOf(service, list));
      // A large registry takes a while, in which others want to go on.
      if (text.length % 200 === 0) await pause(0);
    }
    await createFile(draft, text.join(""), { mode: 0o600 });
    await renameFile(draft, path);
    lines = snapshot.services.size;
  };

  const append = async (before: Snapshot, next: Snapshot) => {
    const changed = [...next.services].filter(([service, list]) => before.services.get(service) !== list);
    const gone = next.complete ? [...before.services.keys()].filter((one) => !next.services.has(one)) : [];
    const text = [
      ...changed.map(([service, list]) => lineOf(service, list)),
      ...gone.map((service) => `${JSON.stringify({ service })}\n`),
      ...(before.complete === next.complete ? [] : [`${JSON.stringify({ complete: next.complete })}\n`]),
    ];
    if (text.length === 0) return;
    await appendFile(path, text.join(""), { mode: 0o600 });
    lines += text.length;
  };

  return {
    read: () =>
      usable(async () => {
        const text = await readFile(path, "utf8").catch((error: unknown) => {
          if (hasCode(error, "ENOENT")) return undefined;
          throw error;
        });
        if (text === undefined) return undefined;
        const snapshot = parse(text, path);
        return snapshot && { snapshot, at: (await stat(path)).mtime.toISOString() };
      }),
    keep: (snapshot) =>
      usable(async () => {
        const before = kept;
        if (before === snapshot) return;
        if (before === undefined || lines > 1000 + 4 * before.services.size) await rewrite(snapshot);
        else await append(before, snapshot);
        kept = snapshot;
      }),
  };
}

function lineOf(service: string, list: readonly Instance[]): string {
  return `{"service":${JSON.stringify(service)},"instances":[${list.map(encodeInstance).join()}]}\n`;
}

/** A line that was torn by a crash says nothing. */
function parse(text: string, place: string): Snapshot | undefined {
  const services = new Map<string, readonly Instance[]>();
  let complete: boolean | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    try {
      const read = JSON.parse(line) as Line;
      if (read.complete !== undefined) complete = read.complete;
      if (read.service === undefined) continue;
      if (read.instances === undefined) services.delete(read.service);
      else
        services.set(
          read.service,
          read.instances.map((one) => decodeInstance(JSON.stringify(one), `${place}:${index + 1}`)),
        );
    } catch {}
  }
  if (complete === undefined) return undefined;
  return { services: new Map([...services].sort(([a], [b]) => compare(a, b))), complete, invalid: new Map() };
}
