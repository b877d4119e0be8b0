import { type Owner, ownerText } from "../backend.ts";
import { decodeClaim, encodeClaim, listingOver } from "../layouts/claim.ts";
import type { ListedLayout } from "../layouts/layout.ts";
import type { Change, ListedStore } from "../layouts/listed-store.ts";
import type { Connection, Step } from "./connection.ts";
import { createZookeeperNode } from "./node.ts";
import type { Connector } from "./session.ts";

/** A state of a node: what a write of it must meet. */
interface At {
  readonly version: number;
  readonly holder: string;
}

/** How ZooKeeper holds the nodes of an owner that lists them: all in one session, list and nodes in one write. */
export function createZookeeperListed(
  connect: Connector,
  layout: ListedLayout,
  owner: Owner,
  ttl: number,
  inherits?: string,
): ListedStore<At> {
  const node = createZookeeperNode(connect, layout.root, owner, ttl, inherits);
  const claimed = { owner: ownerText(owner), run: owner.run };
  /** Of the node, as we left it. */
  let version = -1;
  let taken = false;

  const children = async (on: Connection, folder: string): Promise<readonly string[]> =>
    ((await on.list(folder)) ?? []).map((name) => `${folder}/${name}`);

  const stepsOf = ({ key, text, found }: Change<At>, holder: string): readonly Step[] => {
    if (!found) return text === undefined ? [] : [{ create: key, text, mode: node.mode }];
    const remove = { remove: key, version: found.at.version };
    if (text === undefined) return [remove];
    if (found.at.holder === holder) return [{ write: key, version: found.at.version, text }];
    return [remove, { create: key, text, mode: node.mode }];
  };

  return {
    // A thousand nodes of a thousand bytes are what one request may hold; the list needs some of it.
    batch: 100,
    kept: node.kept,
    place: node.path,

    async hold(listing) {
      const { ttl: granted } = await node.hold(
        (before) => listingOver(before, claimed.owner, inherits, listing),
        async () => {
          taken = true;
        },
      );
      return { ttl: granted, taken };
    },

    async settle() {
      taken = false;
    },

    async own() {
      const on = await node.connection();
      const found = await node.assertHeld(on);
      version = found.version;
      return decodeClaim(found.text, node.path)?.records ?? [];
    },

    async keys() {
      const on = await node.connection();
      const folders = await children(on, layout.services);
      const paths = (await Promise.all(folders.map((folder) => children(on, folder)))).flat();
      const nodes = await Promise.all(
        paths.map(async (key) => {
          const found = await on.read(key);
          return found ? [{ key, text: found.text, at: found }] : [];
        }),
      );
      return nodes.flat();
    },

    async lists() {
      const on = await node.connection();
      const places = await children(on, `${layout.root}/nodes`);
      const lists = await Promise.all(
        places.map(async (place) => {
          const found = await on.read(place);
          const claim = found && decodeClaim(found.text, place);
          return claim ? [{ place, owner: claim.owner, records: claim.records }] : [];
        }),
      );
      return lists.flat();
    },

    async commit(listing, changes) {
      const on = await node.connection();
      // A version alone could be that of the next run's node.
      if ((await node.assertHeld(on)).version !== version) return undefined;
      const holder = node.holderOn(on);
      // A service's node comes with its first instance, and goes with its last one.
      const created = changes.filter(({ text, found }) => text !== undefined && !found);
      const folders = [...new Set(created.map(({ key }) => folderOf(key)))];
      await Promise.all(folders.map((folder) => on.create(folder, "", "persistent")));
      const written = await on.commit([
        { write: node.path, version, text: encodeClaim(claimed, listing) },
        ...changes.flatMap((change) => stepsOf(change, holder)),
      ]);
      if (!written) return undefined;
      version += 1;
      const left = changes.filter(({ text }) => text === undefined).map(({ key }) => folderOf(key));
      // Mostly refused, because the folder is not empty.
      for (const folder of new Set(left)) on.remove(folder).catch(() => {});
      return changes.flatMap(({ key, text, found }) => {
        if (text === undefined) return [];
        const rewritten = found?.at.holder === holder ? found.at.version + 1 : 0;
        return [{ key, text, at: { version: rewritten, holder } }];
      });
    },

    release: () => node.release(),
  };
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
