import { Event } from "node-zookeeper-client";
import { coded } from "../../errors.ts";
import type { Snapshot } from "../backend.ts";
import type { Layout } from "../layouts/layout.ts";
import { createRecords, emptySnapshot, type Records } from "../records.ts";
import type { Connection, Watcher } from "./connection.ts";

/** What somebody wants to see: every service, or those whose nodes are named. */
export interface Wanted {
  readonly all: boolean;
  readonly names: ReadonlySet<string>;
}

/**
 * The services as one connection sees them. Every read leaves a watch, and what a watch touches is read
 * again; a service is shown only as it was answered completely. A read that fails drops the connection.
 */
export interface Tree {
  /** Reads what is wanted and was not read yet; resolves when all of it is answered. */
  want(wanted: Wanted): Promise<void>;
  /** Reads everything again, whatever the watches said. */
  refresh(): void;
  /** Whether all services there are have been answered. */
  listed(): boolean;
  /** The services answered so far. */
  shown(): IterableIterator<Snapshot>;
  /** One of them, by the name of its node. */
  service(name: string): Snapshot | undefined;
  /** What it decoded, by service, for the tree that comes after it. */
  records(): Map<string, Records>;
}

interface Service {
  readonly name: string;
  readonly path: string;
  readonly records: Records;
  readonly watcher: Watcher;
  /** Watchers by record. They stay the same, because the package calls each different one. */
  readonly watchers: Map<string, Watcher>;
  /** Records whose text is being read or current: a watch tells when it is no longer. */
  readonly armed: Set<string>;
  /** Texts by path, newest read last. */
  readonly texts: Map<string, string>;
  again: boolean;
  reading?: Promise<void> | undefined;
  shown?: Snapshot;
}

/**
 * Begins with nothing read. It goes on with the records that an earlier tree decoded, so that equal ones stay
 * the same objects; `changed` is called when a service shows something else.
 */
export function createTree(
  on: Connection,
  { root, read: readRecordOf }: { readonly root: string; readonly read: Layout["read"] },
  inherited: Map<string, Records>,
  changed: () => void,
): Tree {
  const services = new Map<string, Service>();
  let wanted: Wanted = { all: false, names: new Set() };
  let listed = false;

  const guard = (work: Promise<unknown>) => {
    work.catch((error: unknown) => on.drop(coded("BACKEND_UNREACHABLE", error)));
  };
  /** Whether a watch of this service still matters; one that nobody wants any more is let go. */
  const live = (service: Service) => {
    if (services.get(service.name) !== service) return false;
    const interested = wanted.all || wanted.names.has(service.name);
    if (!interested) remove(service.name);
    return interested;
  };
  const remove = (name: string) => {
    if (services.delete(name)) changed();
  };

  const watchNames: Watcher = () => {
    if (wanted.all) guard(listNames());
  };

  const listNames = async (): Promise<void> => {
    const found = await on.list(root, watchNames);
    if (!found && (await on.exists(root, watchNames))) return listNames();
    const names = new Set(found);
    for (const name of services.keys()) if (!names.has(name) && !wanted.names.has(name)) remove(name);
    await Promise.all([...names].map(answered));
    listed = wanted.all;
    changed();
  };

  /** Resolves when the service has been read since it is watched. */
  const answered = (name: string): Promise<void> => {
    const known = services.get(name);
    if (known) return known.reading ?? Promise.resolve();
    const service: Service = {
      name,
      path: `${root}/${name}`,
      records: inherited.get(name) ?? createRecords(readRecordOf),
      watcher() {
        if (live(service)) guard(read(service));
      },
      watchers: new Map(),
      armed: new Set(),
      texts: new Map(),
      again: false,
    };
    inherited.delete(name);
    services.set(name, service);
    return read(service);
  };

  /** Reads a service, and once more if something was touched in the middle of it. */
  const read = (service: Service): Promise<void> => {
    service.again = true;
    service.reading ??= (async () => {
      while (service.again) {
        service.again = false;
        await readOnce(service);
      }
      service.reading = undefined;
    })();
    return service.reading;
  };

  const readOnce = async (service: Service) => {
    const ids = await on.list(service.path, service.watcher);
    if (!ids && !wanted.names.has(service.name)) return remove(service.name);
    if (!ids && (await on.exists(service.path, service.watcher))) {
      service.again = true;
      return;
    }
    const fresh = (ids ?? []).filter((id) => !service.armed.has(id));
    await Promise.all(fresh.map((id) => readRecord(service, id)));
    const there = new Set(ids);
    for (const id of service.watchers.keys()) {
      if (there.has(id)) continue;
      service.watchers.delete(id);
      service.armed.delete(id);
      service.texts.delete(`${service.path}/${id}`);
    }
    show(service);
  };

  const readRecord = async (service: Service, id: string) => {
    const path = `${service.path}/${id}`;
    const watcher = service.watchers.get(id) ?? watcherOf(service, id);
    service.watchers.set(id, watcher);
    service.armed.add(id);
    const record = await on.read(path, watcher);
    if (record) {
      service.texts.set(path, record.text);
    } else {
      service.texts.delete(path);
      service.armed.delete(id);
    }
  };

  const watcherOf =
    (service: Service, id: string): Watcher =>
    (event) => {
      service.armed.delete(id);
      // The list tells what became of a deleted node: its own watch has fired too, or it is being read.
      if (event.type === Event.NODE_DELETED || !live(service)) return;
      guard(
        readRecord(service, id).then(() => {
          if (!service.reading) show(service);
        }),
      );
    };

  const show = (service: Service) => {
    service.records.replace(service.texts);
    const before = service.shown;
    service.shown = service.records.snapshot(before ?? emptySnapshot);
    if (service.shown !== before) changed();
  };

  return {
    async want(next) {
      wanted = next;
      // Services that nobody names are let go from now on.
      if (!wanted.all) listed = false;
      const reading = async () => {
        if (wanted.all && !listed) await listNames();
        await Promise.all([...wanted.names].map(answered));
      };
      const done = reading();
      guard(done);
      await done;
    },
    refresh() {
      if (wanted.all) guard(listNames());
      for (const service of services.values()) {
        service.armed.clear();
        guard(read(service));
      }
    },
    listed: () => listed,
    *shown() {
      for (const { shown } of services.values()) if (shown) yield shown;
    },
    service: (name) => services.get(name)?.shown,
    records: () => new Map([...services].map(([name, { records }]) => [name, records])),
  };
}
