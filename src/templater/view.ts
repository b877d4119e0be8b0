import { instancesOf, type Snapshot } from "../backends/backend.ts";
import type { Instance } from "../instance.ts";
import { readTextFile, type TextFile } from "./text-file.ts";

/** All that a render depends on, as values. */
export interface World {
  /** Undefined while the backend has not answered at all. */
  readonly snapshot: Snapshot | undefined;
  /** The variables that templates may read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of this host. */
  readonly node: string;
  /** A file by its absolute path; undefined while it is not known. Without it, files are read as they are asked for. */
  readonly file?: (path: string) => TextFile | undefined;
}

/** What a template has read: the interest of its target, and what to look at for changes. */
export interface Reads {
  readonly services: ReadonlySet<string>;
  /** True when it asked for the list of services. */
  readonly all: boolean;
  /** The files that it asked for, by absolute path; absent when none. */
  readonly files?: ReadonlySet<string>;
}

/** True when nothing that the template read differs: it would render the same. */
export function sameReads(reads: Reads, before: Snapshot | undefined, after: Snapshot | undefined): boolean {
  if (before === after) return true;
  if (reads.all && !sameServices(before, after)) return false;
  return [...reads.services].every((name) => sameList(listOf(before, name), listOf(after, name)));
}

type List = readonly Instance[] | undefined;

const listOf = (snapshot: Snapshot | undefined, name: string): List =>
  snapshot && instancesOf(snapshot, name);

/** The same object, or both empty: a service without a key in the snapshot gets a new empty list each time. */
const sameList = (a: List, b: List): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === 0 && b.length === 0);

function sameServices(before: Snapshot | undefined, after: Snapshot | undefined): boolean {
  if (before === undefined || after === undefined || before.complete !== after.complete) return false;
  if (before.services === after.services) return true;
  if (before.services.size !== after.services.size) return false;
  return [...before.services].every(([name, list]) => after.services.get(name) === list);
}

/** The world as one render sees it: without the refused instances, and remembering what was read. */
export interface View {
  readonly node: string;
  /** A variable, undefined when it is not set or empty. */
  env(name: string): string | undefined;
  /** A file by its absolute path; empty, and noted as unknown, while it is unknown. */
  file(path: string): TextFile;
  /** All instances of a service in any state, by id; empty, and noted as unknown, while it is unknown. */
  service(name: string): readonly Instance[];
  /** Every service, by name. */
  services(): readonly (readonly [name: string, instances: readonly Instance[]])[];
  /** What was read so far. */
  reads(): Reads;
  /** What was read and is not known yet, as words. */
  unknown(): readonly string[];
  /** The instances that were read, as a template gets them. */
  instances(): ReadonlySet<Instance>;
  /** The values of the variables and the texts of the files that were read. */
  variables(): ReadonlySet<string>;
}

/** A view of `world` from which the instances in `without` are left out. */
export function createView(world: World, without: ReadonlySet<Instance>): View {
  const lists = new Map<string, readonly Instance[]>();
  const named = new Set<string>();
  const unknown = new Set<string>();
  const variables = new Set<string>();
  const files = new Map<string, TextFile>();
  let all = false;
  let instances: ReadonlySet<Instance> | undefined;

  const known = (name: string, list: readonly Instance[]): readonly Instance[] => {
    const before = lists.get(name);
    if (before) return before;
    const kept = list.some((instance) => without.has(instance))
      ? list.filter((instance) => !without.has(instance))
      : list;
    lists.set(name, kept);
    instances = undefined;
    return kept;
  };

  return {
    node: world.node,
    env(name) {
      const value = Object.hasOwn(world.env, name) ? world.env[name] : undefined;
      if (value) variables.add(value);
      return value || undefined;
    },
    file(path) {
      const before = files.get(path);
      if (before) return before;
      const found = (world.file ?? readTextFile)(path);
      if (found === undefined) unknown.add(`file ${path}`);
      const file = found ?? { text: "" };
      files.set(path, file);
      if ("text" in file) variables.add(file.text);
      return file;
    },
    service(name) {
      named.add(name);
      const list = listOf(world.snapshot, name);
      if (list === undefined) unknown.add(`service ${name}`);
      return known(name, list ?? []);
    },
    services() {
      all = true;
      if (!world.snapshot?.complete) unknown.add("the list of services");
      return [...(world.snapshot?.services ?? [])].map(([name, list]) => [name, known(name, list)] as const);
    },
    reads: () => ({ services: named, all, ...(files.size > 0 && { files: new Set(files.keys()) }) }),
    unknown: () => [...unknown].sort(),
    instances() {
      instances ??= new Set([...lists.values()].flat());
      return instances;
    },
    variables: () => variables,
  };
}
