import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { monotonic } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import { decodeInstance, encodeInstance, type Instance } from "../../instance.ts";
import { type Lease, type LeaseOptions, type Owner, ownerText } from "../backend.ts";
import { fateOf } from "../layouts/ownership.ts";
import { limited } from "../limited.ts";
import {
  decodeNode,
  type FileLayout,
  fileError,
  firstBeat,
  listFolder,
  makeFolder,
  type NodeFile,
  onEach,
  putFile,
  readText,
  remove,
  rewrite,
  temporaryPrefix,
} from "./store.ts";

/**
 * The heartbeat of a host: the file `nodes/<node>`, whose counter goes up with every renewal.
 *
 * A claim is a new file put in place; a beat is written into the file that was opened and read. So a run that
 * was replaced between its reading and its writing beats in a file that has no name any more, and never
 * undoes its successor's claim. With a `ttl` of 0 the claim is owed no beat, and lasts until it is removed.
 */
export function createFileLease(
  title: string,
  layout: FileLayout,
  owner: Owner,
  ttl: number,
  { adopt = () => false, inherits }: LeaseOptions = {},
): Lease {
  const mine = ownerText(owner);
  const node = layout.node(owner.node);
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `renew` has told of the claim in force. */
  let told = false;
  /** The last claim seen that is not ours, and since when it has stood there without a beat. */
  let rival: { readonly text: string; readonly since: number } | undefined;

  const encode = (beat: number, from: string | undefined) =>
    `${JSON.stringify({ owner: mine, run: owner.run, ttl, beat, inherits: from })}\n`;
  const isOurs = ({ id, owner: whose }: Instance) => whose === mine || (whose === undefined && adopt(id));
  const isMine = (claim: NodeFile | undefined) => claim?.owner === mine && claim.run === owner.run;
  const call = <T>(signal: AbortSignal, work: () => Promise<T>) =>
    limited(signal, work, (error) => fileError(title, error));

  const assertHeld = async () => {
    const text = await readText(node);
    if (text === undefined || !isMine(decodeNode(text))) {
      throw new PortolanError("LEASE_LOST", `node ${owner.node} is not held by this run; renew it`);
    }
  };

  /** Beats in the node's file, if it is ours. Answers what stands there otherwise. */
  const beat = async (): Promise<string | "beaten" | undefined> => {
    let beaten = false;
    const text = await rewrite(node, (now) => {
      const claim = decodeNode(now);
      beaten = isMine(claim);
      return claim && beaten ? encode(claim.beat + 1, claim.inherits) : undefined;
    });
    return beaten ? "beaten" : text;
  };

  /** Rejects while the claim lives. How long it has been silent is known only since we look at it. */
  const assertDead = (text: string, claim: NodeFile | undefined) => {
    if (rival?.text !== text) rival = { text, since: monotonic() };
    if (claim?.ttl === 0) {
      if (claim.owner === mine) return;
      throw new PortolanError(
        "NODE_TAKEN",
        `node ${owner.node} belongs to ${claim.owner}, whose claim has no time to live; if it is gone, remove ${node}`,
      );
    }
    if (monotonic() - rival.since > (claim?.ttl ?? ttl) * 1000) return;
    if (claim?.owner === mine) {
      throw new PortolanError("SUPERSEDED", `node ${owner.node} was taken over by run ${claim.run}`);
    }
    const other = claim?.owner ?? `an unreadable file, ${node}`;
    throw new PortolanError("NODE_TAKEN", `node ${owner.node} belongs to ${other}, which was alive just now`);
  };

  /** Every record file with what it holds; unreadable ones hold undefined. */
  const records = async () => {
    const found: { readonly path: string; readonly instance: Instance | undefined }[] = [];
    for (const service of (await listFolder(layout.services)) ?? []) {
      const dir = join(layout.services, service);
      await onEach((await listFolder(dir)) ?? [], async (name) => {
        const path = join(dir, name);
        found.push({ path, instance: readable(await readText(path), path) });
      });
    }
    return found;
  };

  /** Claims the node where `text` stands now. False when another process was quicker. */
  const take = async (text: string | undefined): Promise<boolean> => {
    const claim = text === undefined ? undefined : decodeNode(text);
    const from = inheritedOf(claim);
    const free = !held && (claim?.owner === mine || (from !== undefined && claim?.owner === from));
    if (text !== undefined && !free) assertDead(text, claim);
    await makeFolder(layout.nodes);
    await makeFolder(layout.services);
    const taken = await putFile(
      node,
      encode(firstBeat, from),
      owner.node,
      text === undefined ? "create" : "replace",
    );
    if (!taken) return false;
    [held, told, rival] = [true, false, undefined];
    for (const { path, instance } of await records()) {
      if (!instance || instance.owner === mine) continue;
      const fate = fateOf(instance, owner, from);
      // Readers take the earlier owner for alive, by our claim, until its name stands nowhere any more.
      if (fate === "ours") await putFile(path, textOf({ ...instance, owner: mine }), owner.node, "replace");
      // Another Docker had this node before and is dead: what it left would be in the way for ever.
      if (fate === "left") await remove(path);
    }
    await removeTemporary();
    return true;
  };

  /** Whose records a claim hands on: those of the owner that we inherit from, or that our last run inherited from. */
  const inheritedOf = (claim: NodeFile | undefined) => {
    if (claim?.owner === mine) return claim.inherits;
    return !held && claim?.owner === inherits ? inherits : undefined;
  };

  /** What runs before us left half-written. One that still lives has lost the node, and finds out. */
  const removeTemporary = async () => {
    const services = (await listFolder(layout.services)) ?? [];
    for (const dir of [layout.nodes, ...services.map((name) => join(layout.services, name))]) {
      for (const name of await readdir(dir)) {
        if (name.startsWith(temporaryPrefix(owner.node))) await remove(join(dir, name));
      }
    }
  };

  /**
   * The text at a record's path, if we may replace it. Nobody's: an unreadable one, and one whose owner has no
   * heartbeat file, which nobody shows and nobody else would remove.
   */
  const assertOwned = async (path: string, id: string): Promise<string | undefined> => {
    const text = await readText(path);
    const instance = readable(text, path);
    if (!instance || isOurs(instance)) return text;
    if (instance.owner === undefined) {
      throw new PortolanError(
        "NOT_OWNER",
        `record ${id} was put there by hand, without an owner; remove ${path}`,
      );
    }
    const holder = await readText(layout.node(instance.node));
    if (holder === undefined || decodeNode(holder)?.owner !== instance.owner) return text;
    throw new PortolanError("NOT_OWNER", `record ${id} belongs to ${instance.owner}; it was left alone`);
  };

  return {
    renew: (signal) =>
      call(signal, async () => {
        for (;;) {
          const found = await beat();
          if (found === "beaten" || (await take(found))) break;
        }
        held = true;
        const fresh = !told;
        told = true;
        return { ttl, fresh };
      }),

    register: (instance, signal) =>
      call(signal, async () => {
        const path = layout.record(instance);
        const text = textOf(instance);
        for (;;) {
          await assertHeld();
          const before = await assertOwned(path, instance.id);
          if (before === text) return { leftOut: [] };
          await makeFolder(dirname(path));
          const how = before === undefined ? "create" : "replace";
          if (await putFile(path, text, owner.node, how)) return { leftOut: [] };
        }
      }),

    deregister: (ref, signal) =>
      call(signal, async () => {
        await assertHeld();
        const path = layout.record(ref);
        if ((await assertOwned(path, ref.id)) !== undefined) await remove(path);
      }),

    owned: (signal) =>
      call(signal, async () => {
        // Where the whole folder is gone, nothing in it is no answer.
        await assertHeld();
        return (await records()).flatMap(({ instance }) => (instance && isOurs(instance) ? [instance] : []));
      }),

    release: (signal) =>
      call(signal, async () => {
        const text = await readText(node);
        if (text === undefined || !isMine(decodeNode(text))) return;
        // The heartbeat first: without it all of its records are hidden at once.
        await remove(node);
        told = false;
        for (const { path, instance } of await records()) if (instance?.owner === mine) await remove(path);
      }),
  };
}

const textOf = (instance: Instance) => `${encodeInstance(instance)}\n`;

/** The record in the text; undefined when there is none, or none that can be understood. */
function readable(text: string | undefined, path: string): Instance | undefined {
  try {
    return text === undefined ? undefined : decodeInstance(text, path);
  } catch {
    return undefined;
  }
}
