import { parseStates, type ServerState } from "./answers.ts";
import type { Operation } from "./changes.ts";
import type { Session } from "./cli.ts";
import type { Server } from "./servers.ts";

/** Bits of `srv_admin_state` that keep traffic away: maintenance of whatever origin. */
const maintenance = 0x01 | 0x02 | 0x20 | 0x40;

/** Says that HAProxy answered something else than was expected; a reload makes it right. */
export class Unexpected extends Error {}

/**
 * Why this HAProxy cannot do these operations while it runs, before anything is tried: adding needs 2.6, and
 * `cookie` on what is added 3.0.
 */
export function obstacleFor(version: number, operations: readonly Operation[]): string | undefined {
  if (version < 206 && operations.some(({ kind }) => kind !== "set"))
    return "servers are added and removed since HAProxy 2.6";
  const sticky = operations.find(({ kind, server }) => kind === "add" && server.settings.includes("cookie"));
  if (sticky && version < 300)
    return `server ${keyOf(sticky.server)} has a cookie, with which servers are added since HAProxy 3.0`;
  return undefined;
}

/**
 * Does the operations, one after the other, and reads back whether they have had effect. What is removed gets
 * no new connection from now on, and loses those that it has where it `endsSessions`; taking it away once it is
 * idle is for `retire`. `spare` tells the settings of a server that is on its way out and may be taken back.
 * Rejects with Unexpected; some are done then.
 */
export async function applyOperations(
  session: Session,
  operations: readonly Operation[],
  spare: (key: string) => Server | undefined,
): Promise<void> {
  const pools = [...new Set(operations.map(({ server }) => server.pool))];
  const before = await statesOf(session, pools);
  const order = async (command: string, accepts: (answer: string) => boolean) => {
    const answer = await session.ask(command);
    if (!accepts(answer)) throw new Unexpected(`"${command}" was answered with "${answer}"`);
  };
  const quietly = (command: string) => order(command, (answer) => answer === "");

  const setEndpoint = async (server: Server) => {
    const { ip, port } = server.endpoint ?? {};
    // The shorter words are those of 3.0.
    const done =
      /^(nothing changed|(IP changed|no need to change the addr|port changed).* by 'stats socket command')$/;
    await order(`set server ${keyOf(server)} addr ${ip} port ${port}`, (answer) => done.test(answer));
  };
  const setAll = async (server: Server) => {
    await setEndpoint(server);
    await quietly(`set server ${keyOf(server)} weight ${server.weight}`);
    await quietly(`set server ${keyOf(server)} state ${server.disabled ? "maint" : "ready"}`);
  };
  const add = async (server: Server) => {
    const key = keyOf(server);
    const leaving = before.get(key);
    if (leaving !== undefined) {
      // Its name is still taken by one that finishes its sessions. Taken back, it is the same as a new one.
      if (sameSettings(spare(key), server)) return setAll(server);
      await quietly(`set server ${key} state maint`);
      await order(`del server ${key}`, (answer) => answer === "Server deleted.");
    }
    const words = [key, server.address, ...server.settings, "weight", String(server.weight)];
    await order(`add server ${words.join(" ")}`, (answer) => answer === "New server registered.");
    if (server.settings.includes("check")) await quietly(`enable health ${key}`);
    if (server.settings.includes("agent-check")) await quietly(`enable agent ${key}`);
    if (!server.disabled) await quietly(`enable server ${key}`);
  };

  for (const operation of operations) {
    const { kind, server } = operation;
    const key = keyOf(server);
    if (kind === "add") {
      await add(server);
      continue;
    }
    if (!before.has(key)) throw new Unexpected(`it has no server ${key}`);
    if (kind === "remove") {
      await quietly(`set server ${key} state ${endsSessions(server) ? "maint" : "drain"}`);
      continue;
    }
    const { was } = operation;
    if (was.address !== server.address) await setEndpoint(server);
    if (was.weight !== server.weight) await quietly(`set server ${key} weight ${server.weight}`);
    if (was.disabled !== server.disabled)
      await quietly(`set server ${key} state ${server.disabled ? "maint" : "ready"}`);
  }

  const now = await statesOf(session, pools);
  for (const { kind, server } of operations) {
    const state = now.get(keyOf(server));
    const wrong = kind === "remove" ? stillServes(state) : difference(server, state);
    if (wrong !== undefined) throw new Unexpected(`server ${keyOf(server)} ${wrong} after it was set`);
  }
}

/**
 * Whether the connections of a server that is removed are closed: those to a master of before are of no use, or
 * do harm. HAProxy closes them at `state maint` where `on-marked-down shutdown-sessions` says so.
 */
export function endsSessions({ settings }: Pick<Server, "settings">): boolean {
  return settings.some((word, at) => word === "on-marked-down" && settings[at + 1] === "shutdown-sessions");
}

/** `pool/server`, as commands have it. */
export function keyOf({ pool, name }: Pick<Server, "pool" | "name">): string {
  return `${pool}/${name}`;
}

async function statesOf(
  session: Session,
  pools: readonly string[],
): Promise<ReadonlyMap<string, ServerState>> {
  const all = new Map<string, ServerState>();
  for (const pool of pools) {
    const answer = await session.ask(`show servers state ${pool}`);
    const states = parseStates(answer);
    if (states === undefined)
      throw new Unexpected(`"show servers state ${pool}" was answered with "${answer}"`);
    for (const [key, state] of states) all.set(key, state);
  }
  return all;
}

function sameSettings(a: Server | undefined, b: Server): boolean {
  return a !== undefined && a.settings.join(" ") === b.settings.join(" ");
}

function stillServes(state: ServerState | undefined): string | undefined {
  if (state === undefined || (state.admin & (maintenance | 0x08)) !== 0) return undefined;
  return "still serves";
}

function difference(server: Server, state: ServerState | undefined): string | undefined {
  if (state === undefined) return "is not there";
  const { ip, port } = server.endpoint ?? {};
  if (state.address !== ip || state.port !== port) return `is at ${state.address} port ${state.port}`;
  if (state.weight !== server.weight) return `has the weight ${state.weight}`;
  const disabled = (state.admin & maintenance) !== 0;
  if (disabled !== server.disabled) return disabled ? "is in maintenance" : "is in rotation";
  return (state.admin & 0x08) === 0 ? undefined : "is draining";
}
