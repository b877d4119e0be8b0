import { link, rm } from "node:fs/promises";
import { hasCode } from "../durable.ts";
import type { Pending } from "./commit.ts";
import { destinationError } from "./destination.ts";
import type { Intents } from "./intents.ts";

/** Files that stand in their places before their group is checked. */
export interface Companions {
  /** The swap of the group has begun: they are a part of it now. */
  keep(): void;
  /** Takes them away, unless they are kept. */
  takeAway(): Promise<void>;
}

/**
 * Puts the new files of a group that have no check of their own in place while the others are checked: a
 * configuration that names a map which has never been written would be refused for ever. Nobody uses them yet,
 * since no live file that was checked names them. A process that dies in between leaves a promise to take them
 * away. Where links are not possible nothing is put in place, and the check says what it misses. Rejects with
 * DESTINATION and FAILED; nothing is in place then.
 */
export async function placeCompanions(files: readonly Pending[], intents: Intents): Promise<Companions> {
  const group = files[0]?.target.group;
  const unchecked = files.filter(({ target, live }) => target.check === undefined && !live.file);
  const companions = group === undefined || unchecked.length === files.length ? [] : unchecked;
  const placed: string[] = [];
  let isPromised = companions.length > 0;
  const takeAway = async () => {
    if (!isPromised || group === undefined) return;
    for (const path of placed) await rm(path, { force: true });
    await intents.end(group);
    isPromised = false;
  };
  const promises = companions.map(({ live: { path } }) => ({ path, staged: undefined, hash: "" }));
  if (isPromised && group !== undefined) await intents.begin(group, promises);
  for (const { target, live, staged } of companions) {
    try {
      if (staged) await link(staged.path, live.path);
      placed.push(live.path);
    } catch (error) {
      if (hasCode(error, "EPERM", "ENOTSUP", "ENOSYS", "EMLINK", "EXDEV")) continue;
      await takeAway();
      throw destinationError(target.destination, error, live.path);
    }
  }
  return {
    keep: () => {
      isPromised = false;
    },
    takeAway,
  };
}
