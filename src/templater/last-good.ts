import { appendFile, mkdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { KeySnapshot, Snapshot } from "../backends/backend.ts";
import { pause } from "../clock.ts";
import { createFile, hasCode, renameFile } from "../durable.ts";
import { coded } from "../errors.ts";
import { compare, decodeInstance, encodeInstance, type Instance } from "../instance.ts";
import type { StateDir } from "../state-dir.ts";
import { keptName } from "./kept-name.ts";

/**
 * The last world from which a target was rendered, in the state folder: `last-good/<name>.<hash>`, a line of JSON
 * for each service, key and tree of keys, of which the last one counts. A change appends the lines of what has
 * changed, so that it costs that and not what there is. Values may be secrets: nobody else may read the file, and
 * those of keys that no template reads any more are not in it.
 */
export interface LastGood {
  /** What was kept, and when; undefined when nothing was, or nothing of it can be read. Rejects with FAILED. */
  read(): Promise<(LastWorld & { readonly at: string }) | undefined>;
  /**
   * Keeps a world instead of the one before. Calls are to be made one after the other. Rejects with FAILED;
   * the next call then writes everything.
   */
  keep(snapshot: Snapshot, keys?: KeySnapshot): Promise<void>;
}

/** A world that was good for a render. */
export interface LastWorld {
  readonly snapshot: Snapshot;
  /** The keys and trees that the templates read; absent when none. */
  readonly keys?: KeySnapshot | undefined;
}

/** One line: a service, a key, a tree, or that a service which is not listed has no instances. */
interface Line {
  readonly service?: string;
  /** Absent: the service is gone. */
  readonly instances?: readonly unknown[];
  readonly complete?: boolean;
  readonly key?: string;
  /** Absent: the key has no value. */
  readonly value?: string;
  readonly tree?: string;
  /** By what their keys have after the path of the tree. */
  readonly values?: readonly (readonly [key: string, value: string])[];
}

/** The last good snapshot of what is written to these destinations. */
export function openLastGood(state: Pick<StateDir, "path">, destinations: readonly string[]): LastGood {
  const path = join(state.path, "last-good", keptName(destinations));
  /** What the file says; undefined when it has to be written as a whole. */
  let kept: LastWorld | undefined;
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

  const rewrite = async ({ snapshot, keys }: LastWorld) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    count += 1;
    const draft = join(dirname(path), `.${basename(path)}.${process.pid}.${count}`);
    const text = [`${JSON.stringify({ complete: snapshot.complete })}\n`];
    for (const [service, list] of snapshot.services) {
      text.push(lineOf(service, list));
      // A large registry takes a while, in which others want to go on.
      if (text.length % 200 === 0) await pause(0);
    }
    text.push(...keyLines(undefined, keys));
    await createFile(draft, text.join(""), { mode: 0o600 });
    await renameFile(draft, path);
    lines = text.length;
  };

  const append = async (last: LastWorld, now: LastWorld) => {
    const [before, next] = [last.snapshot, now.snapshot];
    const changed = [...next.services].filter(([service, list]) => before.services.get(service) !== list);
    const gone = next.complete ? [...before.services.keys()].filter((one) => !next.services.has(one)) : [];
    const text = [
      ...changed.map(([service, list]) => lineOf(service, list)),
      ...gone.map((service) => `${JSON.stringify({ service })}\n`),
      ...(before.complete === next.complete ? [] : [`${JSON.stringify({ complete: next.complete })}\n`]),
      ...keyLines(last.keys, now.keys),
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
        const world = parse(text, path);
        return world && { ...world, at: (await stat(path)).mtime.toISOString() };
      }),
    keep: (snapshot, keys) =>
      usable(async () => {
        const before = kept;
        const now = { snapshot, keys };
        if (before === undefined || !hasAllOf(keys, before.keys) || lines > 1000 + 4 * sizeOf(before))
          await rewrite(now);
        else await append(before, now);
        kept = now;
      }),
  };
}

function lineOf(service: string, list: readonly Instance[]): string {
  return `{"service":${JSON.stringify(service)},"instances":[${list.map(encodeInstance).join()}]}\n`;
}

function sizeOf({ snapshot, keys }: LastWorld): number {
  return snapshot.services.size + (keys ? keys.keys.size + keys.trees.size : 0);
}

/** Whether everything is there that was there before: what nobody reads any more is not left in the file. */
function hasAllOf(next: KeySnapshot | undefined, before: KeySnapshot | undefined): boolean {
  if (before === undefined) return true;
  return (
    [...before.keys.keys()].every((key) => next?.keys.has(key)) &&
    [...before.trees.keys()].every((path) => next?.trees.has(path))
  );
}

/** A line for each key and tree that has changed. */
function keyLines(before: KeySnapshot | undefined, next: KeySnapshot | undefined): readonly string[] {
  const keys = [...(next?.keys ?? [])].filter(
    ([key, value]) => !before?.keys.has(key) || before.keys.get(key) !== value,
  );
  const trees = [...(next?.trees ?? [])].filter(([path, values]) => before?.trees.get(path) !== values);
  return [
    ...keys.map(([key, value]) => `${JSON.stringify({ key, value })}\n`),
    ...trees.map(([tree, values]) => `${JSON.stringify({ tree, values: [...values] })}\n`),
  ];
}

/** A line that was torn by a crash says nothing. */
function parse(text: string, place: string): LastWorld | undefined {
  const keys = new Map<string, string | undefined>();
  const trees = new Map<string, ReadonlyMap<string, string>>();
  const services = new Map<string, readonly Instance[]>();
  let complete: boolean | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    try {
      const read = JSON.parse(line) as Line;
      if (read.complete !== undefined) complete = read.complete;
      if (read.key !== undefined) keys.set(read.key, read.value);
      if (read.tree !== undefined && read.values !== undefined) trees.set(read.tree, new Map(read.values));
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
  const sorted = new Map([...services].sort(([a], [b]) => compare(a, b)));
  return {
    snapshot: { services: sorted, complete, invalid: new Map() },
    ...(keys.size + trees.size > 0 && { keys: { keys, trees } }),
  };
}
