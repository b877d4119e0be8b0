import { type Configuration, isPlain, parseConfiguration, type Server } from "./servers.ts";

/** A step from one configuration to the next that a running HAProxy can make. */
export type Operation =
  | { readonly kind: "add"; readonly server: Server }
  | { readonly kind: "set"; readonly server: Server; readonly was: Server }
  | { readonly kind: "remove"; readonly server: Server };

/** What leads from one text to another: operations, additions first and removals last, or why it takes a reload. */
export type Steps = { readonly operations: readonly Operation[] } | { readonly reload: string };

/** Compares two configurations of HAProxy. No operation at all: they differ in nothing that counts. */
export function stepsBetween(before: string, after: string): Steps {
  const old = parseConfiguration(before);
  const next = parseConfiguration(after);
  if (typeof old === "string") return { reload: `of the configuration before: ${old}` };
  if (typeof next === "string") return { reload: next };
  if (old.skeleton !== next.skeleton) return { reload: "more than servers has changed" };

  const orders = ordered(old);
  for (const [pool, keys] of ordered(next))
    if (!keepsOrder(orders.get(pool) ?? [], keys))
      return { reload: `the order of the servers of ${pool} counts` };

  const add: Operation[] = [];
  const set: Operation[] = [];
  const remove: Operation[] = [];
  for (const [key, server] of next.servers) {
    const was = old.servers.get(key);
    if (was !== undefined && equal(was, server)) continue;
    const reason = obstacle(key, server, was);
    if (reason !== undefined) return { reload: reason };
    if (was === undefined) add.push({ kind: "add", server });
    else set.push({ kind: "set", server, was });
  }
  for (const [key, server] of old.servers) {
    if (next.servers.has(key)) continue;
    if (!isPlain(key)) return { reload: `server ${key} has a name that no command can hold` };
    remove.push({ kind: "remove", server });
  }
  return { operations: [...add, ...set, ...remove] };
}

/**
 * By pool, the servers whose order counts: those that are filled one after the other, and backups, of which the
 * first one that is up is used.
 */
function ordered({ servers, inOrder }: Configuration): ReadonlyMap<string, readonly string[]> {
  const orders = new Map<string, string[]>();
  for (const [key, { pool, settings }] of servers) {
    if (!inOrder.has(pool) && !settings.includes("backup")) continue;
    orders.set(pool, [...(orders.get(pool) ?? []), key]);
  }
  return orders;
}

/**
 * Whether running servers come to stand as the file has them. What is added gets the lowest number that is free,
 * so it may come to stand anywhere.
 */
function keepsOrder(before: readonly string[], after: readonly string[]): boolean {
  let at = 0;
  for (const key of before) if (key === after[at]) at += 1;
  return after.length < 2 || at === after.length;
}

function equal(a: Server, b: Server): boolean {
  return (
    a.address === b.address &&
    a.weight === b.weight &&
    a.disabled === b.disabled &&
    a.settings.length === b.settings.length &&
    a.settings.every((word, at) => word === b.settings[at])
  );
}

/** Why a server cannot become what it is to be while HAProxy runs. */
function obstacle(key: string, server: Server, was: Server | undefined): string | undefined {
  const words = [key, server.address, ...server.settings];
  const odd = words.find((word) => !isPlain(word));
  if (odd !== undefined) return `server ${key} has a word that no command can hold: ${JSON.stringify(odd)}`;
  if (!(Number.isInteger(server.weight) && server.weight >= 0 && server.weight <= 256))
    return `server ${key} has a weight that is no number from 0 to 256`;
  if (server.endpoint === undefined) return `server ${key} has an address that is no IP address with a port`;
  if (was === undefined) return undefined;
  const { settings } = was;
  const same =
    settings.length === server.settings.length && settings.every((word, at) => word === server.settings[at]);
  return same ? undefined : `server ${key} has other settings than before`;
}
