import { createHash } from "node:crypto";
import type { Log } from "../log.ts";
import type { StateDir } from "../state-dir.ts";
import type { OwnerMemory } from "./host-lease.ts";

/** Keeps the owner in the state folder, in a file for each backend. What fails is told in the log and does no harm now. */
export function ownerMemory(state: Pick<StateDir, "read" | "write">, title: string, log: Log): OwnerMemory {
  const name = `owner.${createHash("sha256").update(title).digest("hex").slice(0, 16)}`;
  return {
    read: () =>
      state.read(name).then(
        (text) => text?.trim() || undefined,
        (error: unknown) => {
          log.warn({ backend: title, err: error }, "who held the host's lease before is not known");
          return undefined;
        },
      ),
    write: (owner) =>
      state.write(name, `${owner}\n`).catch((error: unknown) => {
        log.warn(
          { backend: title, err: error },
          "who holds the host's lease is not kept for the next process",
        );
      }),
  };
}
