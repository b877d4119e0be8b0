import type { Change } from "../reloader.ts";
import { openSession } from "./cli.ts";
import { endsSessions, keyOf } from "./runtime.ts";
import { isPlain, parseConfiguration, type Server } from "./servers.ts";

/**
 * For a change that takes a reload: closes the connections of the servers that are gone, where they are to end with
 * them. A reload leaves them with an old worker, for as long as `hard-stop-after` lets it, and may have to wait.
 * Returns whether HAProxy may have been changed. What cannot be done is left to the reload.
 */
export async function closeSessions(
  socket: string,
  changes: readonly Change[],
  limit: AbortSignal,
): Promise<boolean> {
  const gone = changes.flatMap(goneFrom).filter(endsSessions);
  if (gone.length === 0) return false;
  const session = await openSession(socket, limit).catch(() => undefined);
  try {
    for (const server of gone) await session?.ask(`set server ${keyOf(server)} state maint`);
  } catch {
    // It ended while it was asked: its worker has, too.
  } finally {
    session?.close();
  }
  return session !== undefined;
}

/** The servers that a file had and has no more. */
function goneFrom({ before, after }: Change): readonly Server[] {
  const old = parseConfiguration(before ?? "");
  const next = parseConfiguration(after);
  if (typeof old === "string" || typeof next === "string") return [];
  return [...old.servers].flatMap(([key, server]) =>
    next.servers.has(key) || !isPlain(key) ? [] : [server],
  );
}
