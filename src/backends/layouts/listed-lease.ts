import { coded, PortolanError } from "../../errors.ts";
import { type Instance, type InstanceRef, refKey } from "../../instance.ts";
import type { Lease, LeaseOptions, Owner, Registered } from "../backend.ts";
import { limited } from "../limited.ts";
import { createTurns } from "../turns.ts";
import type { ListedLayout } from "./layout.ts";
import type { Change, Found, ListedStore } from "./listed-store.ts";
import { standing } from "./standing.ts";

/** One record that is to be there, or not to be, and who waits for it. */
interface Wanted {
  readonly ref: InstanceRef;
  /** Absent: to be removed. */
  readonly instance: Instance | undefined;
  done(registered: Registered): void;
  fail(error: unknown): void;
}

/** Of our own work, which goes on when the caller that began it has given up: each call to the store ends. */
const lasting = new AbortController().signal;
/** How often something is tried that others may change at the same time. */
const patience = 20;

/**
 * The lease of an owner in a layout whose texts do not say whose they are. What it holds stands in `nodes/<node>`:
 * the whole records, also those whose state keeps them out of the layout. The list and the keys are written in
 * one transaction, so a key is ours exactly when the list has it with the text that stands there: what another
 * one lists, and what nobody does, is left alone.
 *
 * Writes that come together go out together, because each one writes the list.
 */
export function createListedLease<At>(
  title: string,
  store: ListedStore<At>,
  layout: ListedLayout,
  owner: Owner,
  { adopt = () => false }: LeaseOptions = {},
): Lease {
  /** What we list, as far as we know. */
  let records = new Map<string, Instance>();
  /** Our keys as we left them. */
  let there = new Map<string, Found<At>>();
  /** Keys of nobody that `owned` listed last, because they are adopted. */
  let adoptable = new Map<string, Found<At>>();
  /** False while the store may hold something else than `records` and `there` say. */
  let sure = false;
  /** Whether what an earlier run left has been taken over. */
  let ready = false;
  let told = false;
  let pending: Wanted[] = [];

  const busy = () =>
    new PortolanError(
      "BACKEND_UNREACHABLE",
      `the keys of node ${owner.node} change all the time; trying later`,
    );
  const lost = () => new PortolanError("LEASE_LOST", `node ${owner.node} is not held any more; renew it`);

  /** Each work leaves the list in a different state. */
  const inTurn = createTurns();
  const call = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    limited(signal, work, (error) => coded("BACKEND_UNREACHABLE", error, `${title}: `));

  /** Runs work that leaves the store in a state that is not known when it fails. */
  const surely = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!ready) throw lost();
    try {
      return await work();
    } catch (error) {
      sure = false;
      if (error instanceof PortolanError && error.code === "LEASE_LOST") ready = false;
      throw error;
    }
  };

  /** Reads the list and the keys. Returns all keys; those of ours are in `there`. */
  const read = async (): Promise<readonly Found<At>[]> => {
    const [listed, keys] = [await store.own(lasting), await store.keys(lasting)];
    records = new Map(listed.map((instance) => [refKey(instance), instance]));
    const found = new Map(keys.map((one) => [one.key, one]));
    for (let all = false; !all; ) {
      all = true;
      there = new Map();
      for (const [key, { text, instance }] of standing(layout, records.values())) {
        const one = found.get(key);
        if (one?.text === text) {
          there.set(key, one);
        } else {
          // It is absent, or somebody else wrote it: not ours any more. Another record may stand for it now.
          records.delete(refKey(instance));
          all = false;
        }
      }
    }
    sure = true;
    return keys;
  };

  const listing = (of: ReadonlyMap<string, Instance>) => ({
    keys: [...standing(layout, of.values()).keys()],
    records: [...of.values()],
  });

  /** Puts our keys, as they are, under what holds the node now. False: somebody else changes them at the same time. */
  const rewrite = async () => {
    const changes = [...there.values()].map((found) => ({ key: found.key, text: found.text, found }));
    for (let at = 0; at < changes.length; at += store.batch) {
      const now = await store.commit(listing(records), changes.slice(at, at + store.batch), lasting);
      if (!now) return false;
      for (const found of now) there.set(found.key, found);
    }
    return true;
  };

  /** Puts what an earlier run left under what holds the node now. */
  const inherit = async () => {
    let moved = false;
    for (let attempt = 0; !moved; attempt += 1) {
      if (attempt === patience) throw busy();
      await read();
      moved = await rewrite();
    }
    await store.settle(lasting);
  };

  /** Removes our keys where nothing else does. What still stands is listed until it is gone. */
  const clear = async () => {
    for (let attempt = 0; ; attempt += 1) {
      if (attempt === patience) throw busy();
      await read();
      const keys = [...there.values()];
      let whole = true;
      for (let at = 0; whole && at < keys.length; at += store.batch) {
        const gone = keys.slice(at, at + store.batch);
        const names = new Set(gone.map(({ key }) => key));
        const rest = new Map([...records].filter(([, instance]) => !names.has(layout.keyOf(instance))));
        const changes = gone.map((found) => ({ key: found.key, text: undefined, found }));
        whole = (await store.commit(listing(rest), changes, lasting)) !== undefined;
        if (whole) records = rest;
      }
      if (whole) return;
    }
  };

  /** Why a key that is in the way is not ours to write; undefined where it may be taken over. */
  const refusal = (found: Found<At>, ref: InstanceRef, owners: ReadonlyMap<string, string>) => {
    const other = owners.get(found.key);
    if (other !== undefined) {
      return new PortolanError("NOT_OWNER", `${found.key} belongs to ${other}; it was left alone`);
    }
    if (adopt(ref.id)) return undefined;
    return new PortolanError(
      "NOT_OWNER",
      `${found.key} is in no owner's list: somebody else wrote it, and it was left alone; remove it, or take ` +
        "over with --adopt what another registrator left",
    );
  };

  /** The owner of each key that somebody lists and that is as listed. */
  const ownersOf = async (keys: readonly Found<At>[]): Promise<ReadonlyMap<string, string>> => {
    const texts = new Map(keys.map(({ key, text }) => [key, text]));
    const owners = new Map<string, string>();
    for (const list of await store.lists(lasting)) {
      if (list.place === store.place) continue;
      for (const [key, { text }] of standing(layout, list.records)) {
        if (texts.get(key) === text) owners.set(key, list.owner);
      }
    }
    return owners;
  };

  /** Applies wishes that came together. Each one is settled, whatever becomes of the others. */
  const apply = async (batch: readonly Wanted[]) => {
    let wishes = [...batch];
    for (let attempt = 0; wishes.length > 0; attempt += 1) {
      if (attempt === patience) throw busy();
      if (!sure) await read();
      const next = new Map(records);
      const touched = new Set<string>();
      for (const { ref, instance } of wishes) {
        const before = next.get(refKey(ref));
        if (before) touched.add(layout.keyOf(before));
        if (instance) touched.add(layout.keyOf(instance));
        if (instance) next.set(refKey(ref), instance);
        else next.delete(refKey(ref));
      }
      const should = standing(layout, next.values());
      const changes: Change<At>[] = [];
      for (const key of touched) {
        const found = there.get(key) ?? adoptable.get(key);
        const text = should.get(key)?.text;
        if (text !== undefined || found) changes.push({ key, text, found });
      }
      const now = await store.commit(listing(next), changes, lasting);
      if (now) {
        records = next;
        for (const { key } of changes) {
          there.delete(key);
          adoptable.delete(key);
        }
        for (const found of now) there.set(found.key, found);
        for (const { instance, done } of wishes) done({ leftOut: instance ? hidden(instance, should) : [] });
        return;
      }
      // Something is not as we left it: what is in the way decides.
      const keys = await read();
      const owners = await ownersOf(keys);
      adoptable = new Map();
      wishes = wishes.filter((wanted) => {
        const { instance } = wanted;
        const key = instance && layout.textOf(instance) !== undefined && layout.keyOf(instance);
        const found = keys.find((one) => one.key === key && !there.has(one.key));
        if (!found) return true;
        const error = refusal(found, wanted.ref, owners);
        if (error) wanted.fail(error);
        else adoptable.set(found.key, found);
        return error === undefined;
      });
    }
  };

  /** What to say of a record whose key shows another one. */
  const hidden = (instance: Instance, should: ReturnType<typeof standing>): readonly string[] => {
    const key = layout.keyOf(instance);
    const shown = should.get(key)?.instance;
    if (!shown || refKey(shown) === refKey(instance) || layout.textOf(instance) === undefined) return [];
    return [`${instance.id}: ${key} can show one instance only, and shows ${shown.id}`];
  };

  const write = (ref: InstanceRef, instance: Instance | undefined, signal: AbortSignal) =>
    call(
      signal,
      () =>
        new Promise<Registered>((done, fail) => {
          pending.push({ ref, instance, done, fail });
          if (pending.length > 1) return;
          void inTurn(async () => {
            while (pending.length > 0) {
              // Each wish touches two keys at most.
              const batch = pending.slice(0, Math.max(1, Math.floor(store.batch / 2)));
              pending = pending.slice(batch.length);
              await surely(() => apply(batch)).catch((error: unknown) => {
                for (const wanted of batch) wanted.fail(error);
              });
            }
          });
        }),
    );

  /** Removes what is not in our list, where it is ours to remove. */
  const removeUnlisted = async (ref: InstanceRef) => {
    for (let attempt = 0; attempt < patience; attempt += 1) {
      const keys = await read();
      if (records.has(refKey(ref))) return;
      const found = keys.find(({ key, text }) => {
        const instance = readable(key, text);
        return !there.has(key) && instance && refKey(instance) === refKey(ref);
      });
      if (!found) return;
      const error = refusal(found, ref, await ownersOf(keys));
      if (error) throw error;
      const gone = { key: found.key, text: undefined, found };
      if (await store.commit(listing(records), [gone], lasting)) return;
    }
    throw busy();
  };

  const readable = (key: string, text: string): Instance | undefined => {
    try {
      return layout.read(key, text);
    } catch {
      return undefined;
    }
  };

  return {
    renew: (signal) =>
      call(signal, async () => {
        const { ttl, taken } = await store.hold(listing(records), lasting).catch((error: unknown) => {
          if (isLoss(error)) ready = false;
          throw error;
        });
        if (taken) {
          ready = false;
          told = false;
        }
        await inTurn(async () => {
          if (ready) return;
          await inherit();
          ready = true;
        });
        const fresh = !told;
        told = true;
        return { ttl, fresh };
      }),

    register: (instance, signal) => write(instance, instance, signal),

    async deregister(ref, signal) {
      if (ready && sure && records.has(refKey(ref))) {
        await write(ref, undefined, signal);
        return;
      }
      await call(signal, () => inTurn(() => surely(() => removeUnlisted(ref))));
      if (records.has(refKey(ref))) await write(ref, undefined, signal);
    },

    owned: (signal) =>
      call(signal, () =>
        inTurn(() =>
          surely(async () => {
            const keys = await read();
            const candidates = keys.flatMap((found) => {
              const instance = there.has(found.key) ? undefined : readable(found.key, found.text);
              return instance && adopt(instance.id) ? [{ found, instance }] : [];
            });
            const owners = candidates.length > 0 ? await ownersOf(keys) : new Map<string, string>();
            const adopted = candidates.filter(({ found }) => !owners.has(found.key));
            adoptable = new Map(adopted.map(({ found }) => [found.key, found]));
            return [...records.values(), ...adopted.map(({ instance }) => instance)];
          }),
        ),
      ),

    release: (signal) =>
      call(signal, () =>
        inTurn(async () => {
          const cleared = store.kept && ready ? surely(clear) : Promise.resolve();
          // What somebody else has taken over is not ours to remove.
          await cleared.catch((error: unknown) => {
            if (!isLoss(error)) throw error;
          });
          await store.release(lasting);
          records = new Map();
          ready = false;
          sure = false;
        }),
      ),
  };
}

/** Whether the node is not ours, whatever became of the call. */
function isLoss(error: unknown): boolean {
  return error instanceof PortolanError && ["LEASE_LOST", "NODE_TAKEN", "SUPERSEDED"].includes(error.code);
}
