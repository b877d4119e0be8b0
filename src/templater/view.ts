import { instancesOf, type KeySnapshot, type Snapshot } from "../backends/backend.ts";
import type { Instance } from "../instance.ts";
import type { LocalContainer, LocalContainers } from "../local-containers.ts";
import { answers, type ContainerQuery, chosenContainers } from "./containers.ts";
import { readTextFile, type TextFile } from "./text-file.ts";

/** All that a render depends on, as values. */
export interface World {
  /** Undefined while the backend has not answered at all. */
  readonly snapshot: Snapshot | undefined;
  /** The variables that templates may read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of this host. */
  readonly node: string;
  /** The keys and values of the backend; undefined while none was answered, "none" where it has no such thing. */
  readonly keys?: KeySnapshot | "none" | undefined;
  /** The containers of this host; undefined while they are not known, "none" where nobody watches its Docker. */
  readonly containers?: LocalContainers | "none" | undefined;
  /** The id of the container in which this process runs; undefined outside of one. */
  readonly ownContainer?: string | undefined;
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
  /** The keys that it asked for; absent when none. */
  readonly keys?: ReadonlySet<string>;
  /** The paths of which it asked for all that is below; absent when none. */
  readonly trees?: ReadonlySet<string>;
  /** The containers that it asked for, each question once; absent when none. */
  readonly containers?: ReadonlyMap<string, ContainerQuery>;
}

/** What a refused value can stand in, and what is then left out. */
export type Refusable = Instance | LocalContainer;

/** True for a container of this host. */
export function isContainer(one: Refusable): one is LocalContainer {
  return "networkMode" in one;
}

/** True when nothing that the template read differs: it would render the same. */
export function sameReads(reads: Reads, before: Snapshot | undefined, after: Snapshot | undefined): boolean {
  if (before === after) return true;
  if (reads.all && !sameServices(before, after)) return false;
  return [...reads.services].every((name) => sameList(listOf(before, name), listOf(after, name)));
}

/** True when no key that the template read differs. */
export function sameKeys(reads: Reads, before: World["keys"], after: World["keys"]): boolean {
  if (before === after) return true;
  if (before === "none" || after === "none") return false;
  const sameKey = (key: string) =>
    before?.keys.has(key) === after?.keys.has(key) && before?.keys.get(key) === after?.keys.get(key);
  const sameTree = (path: string) => before?.trees.get(path) === after?.trees.get(path);
  return [...(reads.keys ?? [])].every(sameKey) && [...(reads.trees ?? [])].every(sameTree);
}

type List = readonly Instance[] | undefined;

const listOf = (snapshot: Snapshot | undefined, name: string): List =>
  snapshot && instancesOf(snapshot, name);

/** The same object, or both empty: a service without a key in the snapshot gets a new empty list each time. */
export const sameList = (a: List, b: List): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === 0 && b.length === 0);

function sameServices(before: Snapshot | undefined, after: Snapshot | undefined): boolean {
  if (before === undefined || after === undefined || before.complete !== after.complete) return false;
  if (before.services === after.services) return true;
  if (before.services.size !== after.services.size) return false;
  for (const [name, list] of before.services) if (after.services.get(name) !== list) return false;
  return true;
}

/** The world as one render sees it: without the refused instances, and remembering what was read. */
export interface View {
  readonly node: string;
  readonly ownContainer: string | undefined;
  /** A variable, undefined when it is not set or empty. */
  env(name: string): string | undefined;
  /** A file by its absolute path; empty, and noted as unknown, while it is unknown. */
  file(path: string): TextFile;
  /** All instances of a service in any state, by id; empty, and noted as unknown, while it is unknown. */
  service(name: string): readonly Instance[];
  /** Every service, by name. */
  services(): readonly (readonly [name: string, instances: readonly Instance[]])[];
  /** The value of a key, undefined where there is none. Throws where the backend has no keys. */
  key(name: string): string | undefined;
  /** All values below a path, by what their keys have after it; empty while that is unknown. Throws like `key`. */
  tree(path: string): ReadonlyMap<string, string>;
  /** Containers of this host, by name; empty while they are unknown. Throws where nobody watches its Docker. */
  containers(query: ContainerQuery): readonly LocalContainer[];
  /** How many containers of this host are known. */
  containersKnown(): number;
  /** What was read so far. */
  reads(): Reads;
  /** What was read and is not known yet, as words. */
  unknown(): readonly string[];
  /** The instances and containers that were read, as a template gets them. */
  refusable(): ReadonlySet<Refusable>;
  /** The containers among them. */
  containersRead(): ReadonlySet<LocalContainer>;
  /** The values of the variables and the texts of the files that were read. */
  variables(): ReadonlySet<string>;
}

/** Why `containers` gives nothing here, and the way out. */
export const onlyInAgent =
  "reads the Docker of this host, which only `portolan agent` watches; run that, or read what is registered: (service …)";

function keysOf({ keys }: World): KeySnapshot | undefined {
  if (keys !== "none") return keys;
  throw new Error("needs keys and values, and there are none here; see the page of the backend");
}

/** A view of `world` from which the instances and containers in `without` are left out. */
export function createView(world: World, without: ReadonlySet<Refusable>): View {
  const lists = new Map<string, readonly Instance[]>();
  const named = new Set<string>();
  const unknown = new Set<string>();
  const variables = new Set<string>();
  const files = new Map<string, TextFile>();
  const keys = new Set<string>();
  const trees = new Set<string>();
  const queries = new Map<string, ContainerQuery>();
  const containers = new Set<LocalContainer>();
  let all = false;
  let refusable: ReadonlySet<Refusable> | undefined;

  const known = (name: string, list: readonly Instance[]): readonly Instance[] => {
    const before = lists.get(name);
    if (before) return before;
    const isWhole = without.size === 0 || !list.some((instance) => without.has(instance));
    const kept = isWhole ? list : list.filter((instance) => !without.has(instance));
    lists.set(name, kept);
    refusable = undefined;
    return kept;
  };

  return {
    node: world.node,
    ownContainer: world.ownContainer,
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
    key(name) {
      keys.add(name);
      const known = keysOf(world);
      if (!known?.keys.has(name)) unknown.add(`key ${name}`);
      const value = known?.keys.get(name);
      if (value !== undefined) variables.add(value);
      return value;
    },
    tree(path) {
      trees.add(path);
      const tree = keysOf(world)?.trees.get(path);
      if (tree === undefined) unknown.add(`keys below ${path}`);
      for (const value of tree?.values() ?? []) variables.add(value);
      return tree ?? new Map();
    },
    containers(query) {
      if (world.containers === "none") throw new Error(onlyInAgent);
      queries.set(JSON.stringify(query), query);
      if (world.containers === undefined || !answers(world.containers, query)) {
        unknown.add("the containers of this host");
        return [];
      }
      const kept = chosenContainers(world.containers, query).filter((one) => !without.has(one));
      for (const one of kept) containers.add(one);
      refusable = undefined;
      return kept;
    },
    containersKnown: () => (typeof world.containers === "object" ? world.containers.containers.length : 0),
    reads: () => ({
      services: named,
      all,
      ...(files.size > 0 && { files: new Set(files.keys()) }),
      ...(keys.size > 0 && { keys }),
      ...(trees.size > 0 && { trees }),
      ...(queries.size > 0 && { containers: queries }),
    }),
    unknown: () => [...unknown].sort(),
    refusable() {
      refusable ??= new Set<Refusable>([...[...lists.values()].flat(), ...containers]);
      return refusable;
    },
    containersRead: () => containers,
    variables: () => variables,
  };
}
