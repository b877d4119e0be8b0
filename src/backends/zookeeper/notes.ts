import type { HeldNote } from "../backend.ts";
import type { Connection } from "./connection.ts";
import { createOwnSession } from "./own-session.ts";
import type { Connector } from "./session.ts";

/** A note as an ephemeral node. Whoever wrote it last has it: the end of another session leaves it. */
export function holdZookeeperNote(title: string, connect: Connector, path: string): HeldNote {
  const session = createOwnSession(title, connect);
  /** The session that `renew` has told of. */
  let told: string | undefined;

  const put = async (on: Connection, text: string): Promise<void> => {
    for (;;) {
      const node = await on.read(path);
      if (!node) {
        if (await on.create(path, text, "ephemeral")) return;
      } else if (node.holder !== on.session.id) {
        if (await on.replace(path, node.version, text, "ephemeral")) return;
      } else {
        const { version } = node;
        if (node.text === text || (await on.commit([{ write: path, version, text }]))) return;
      }
    }
  };

  return {
    renew: (text, signal) =>
      session.use(async (on) => {
        await put(on, text);
        const fresh = told !== on.session.id;
        told = on.session.id;
        return { ttl: on.session.timeout / 1000, fresh };
      }, signal),

    release: session.end,
  };
}
