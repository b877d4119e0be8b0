import { after, deadline, monotonic } from "../../../clock.ts";
import { inLane } from "../lane.ts";
import { parseInfo } from "./answers.ts";
import { openSession, type Session } from "./cli.ts";
import { keyOf } from "./runtime.ts";
import type { Server } from "./servers.ts";

/** A server that is to go. What an earlier process has left is known by its name only. */
type Gone = Server | { readonly pool: string; readonly name: string; readonly settings?: undefined };

/** Servers that the file no longer has, and that a running HAProxy still drains. */
interface Leaving {
  /** The worker that has them; a reload forgets them. */
  readonly worker: number;
  readonly servers: Map<string, { readonly server: Gone; readonly since: number }>;
}

/** By socket. What a process that ends leaves behind is taken up by the next one. */
const leaving = new Map<string, Leaving>();

/** ms between two looks at what drains. */
const interval = 500;
/** ms after which a sticky session no longer brings new requests to what drains. */
const longestDrain = 30_000;

/** The server that drains under this name in this worker, where its settings are known. */
export function leavingServer(socket: string, worker: number, key: string): Server | undefined {
  const found = leaving.get(socket);
  const server = found?.worker === worker ? found.servers.get(key)?.server : undefined;
  return server?.settings === undefined ? undefined : server;
}

/** Takes `gone`, which drain, away once they are idle; those that came `back` no longer. For within the lane. */
export function retire(socket: string, worker: number, gone: readonly Gone[], back: readonly Gone[]): void {
  const known = leaving.get(socket);
  const entry: Leaving = known?.worker === worker ? known : { worker, servers: new Map() };
  for (const server of back) entry.servers.delete(keyOf(server));
  const since = monotonic();
  for (const server of gone)
    if (server.settings !== undefined || !entry.servers.has(keyOf(server)))
      entry.servers.set(keyOf(server), { server, since });
  if (entry === known || entry.servers.size === 0) return;
  leaving.set(socket, entry);
  look(socket, entry);
}

/** Looks again and again, until nothing is left or another worker is in charge. */
function look(socket: string, entry: Leaving): void {
  after(interval, async () => {
    // HAProxy that does not answer now is asked again: it may be busy.
    const same = await inLane(socket, () => removeIdle(socket, entry)).catch(() => true);
    if (leaving.get(socket) !== entry) return;
    if (same && entry.servers.size > 0) look(socket, entry);
    else leaving.delete(socket);
  });
}

/** False when there is another worker. */
async function removeIdle(socket: string, { worker, servers }: Leaving): Promise<boolean> {
  const session = await openSession(socket, deadline(5_000));
  try {
    if (parseInfo(await session.ask("show info"))?.pid !== worker) return false;
    for (const [key, { server, since }] of servers) {
      const late = monotonic() - since > longestDrain;
      const busy = (await sessionsOf(session, server)) > 0;
      if (busy && !late) continue;
      await session.ask(`set server ${key} state maint`);
      const answer = busy ? "" : await session.ask(`del server ${key}`);
      if (/^(Server deleted|No such server)/.test(answer)) servers.delete(key);
    }
    return true;
  } finally {
    session.close();
  }
}

/** Sessions that a server has, and that wait for it. */
async function sessionsOf(session: Session, { pool, name }: Gone): Promise<number> {
  const [header = "", ...lines] = (await session.ask(`show stat ${pool} 4 -1`)).split("\n");
  const names = header.replace(/^# /, "").split(",");
  for (const line of lines) {
    const words = line.split(",");
    if (words[names.indexOf("svname")] !== name) continue;
    return Number(words[names.indexOf("scur")]) + Number(words[names.indexOf("qcur")]);
  }
  return 0;
}
