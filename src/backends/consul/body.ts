import type { Instance, State } from "../../instance.ts";
import { states } from "../../instance.ts";
import type { OrderedCheck } from "./checks.ts";
import { orderNotes } from "./order.ts";

/** The body of a registration at the agent, and the attributes that Consul cannot hold. */
export interface Registration {
  readonly body: Readonly<Record<string, unknown>>;
  readonly leftOut: readonly string[];
}

/** How long a service may be critical before its agent removes it; Consul takes no less than 1 m. */
const removeAfter = "10m";

/** What the names of heartbeat services, which readers hide, begin with. */
export const heartbeatPrefix = "portolan:";

/** Name and id of the service whose TTL check is the heartbeat of a host. */
export const heartbeatName = (node: string): string => `${heartbeatPrefix}${node}`;

/** The run is part of the id, so that a beat of an earlier run fails instead of keeping a later one alive. */
export const heartbeatCheck = (node: string, run: string): string => `${heartbeatPrefix}${node}:${run}`;

/** The id of the check by which an instance follows its host's heartbeat. */
export const aliasCheck = (id: string): string => `portolan-alias:${id}`;

/** The id under which Consul itself keeps the maintenance mode of a service. */
export const maintenanceCheck = (id: string): string => `_service_maintenance:${id}`;

/** The state that a maintenance reason of ours stands for; undefined for an operator's reason. */
export function stateInNotes(notes: string): State | undefined {
  return states.find((state) => notes === `portolan: ${state}`);
}

/**
 * The heartbeat's registration. `ttl` in seconds. It begins passing, so taking a lease is also a beat. Without
 * a ttl it has no check: it claims the node for good.
 */
export function heartbeatBody(node: string, owner: string, run: string, ttl: number): Registration["body"] {
  const check = {
    CheckID: heartbeatCheck(node, run),
    Name: "The registrator beats",
    TTL: `${ttl}s`,
    Status: "passing",
    DeregisterCriticalServiceAfter: removeAfter,
  };
  return {
    ID: heartbeatName(node),
    Name: heartbeatName(node),
    Meta: { "portolan-node": node, "portolan-owner": owner, "portolan-run": run },
    Checks: ttl > 0 ? [check] : [],
  };
}

/** What the checks of an instance are, besides what its state says. */
export interface Checked {
  /** Whether it hangs on the heartbeat of its host. */
  readonly alias: boolean;
  readonly ordered: readonly OrderedCheck[];
  /** Puts it into maintenance mode from the first moment on. */
  readonly maintenance: boolean;
}

/**
 * An instance's registration. The first of our checks keeps the order of checks in its notes. Consul takes the
 * check of the maintenance mode only with a kind: a TTL, which changes nothing when it runs out, being
 * critical already.
 */
export function instanceBody(instance: Instance, { alias, ordered, maintenance }: Checked): Registration {
  const { meta, leftOut } = metaOf(instance);
  const aliased = {
    CheckID: aliasCheck(instance.id),
    Name: "The registrator of its host is alive",
    AliasService: heartbeatName(instance.node),
    // Consul begins an alias check as critical and takes 0.2 s to turn it.
    Status: "passing",
    DeregisterCriticalServiceAfter: removeAfter,
  };
  const maintained = {
    CheckID: maintenanceCheck(instance.id),
    Name: "Service Maintenance Mode",
    Notes: `portolan: ${instance.state}`,
    TTL: "87600h",
    Status: "critical",
  };
  const checks = [...(alias ? [aliased] : []), ...ordered.map(({ id, body }) => ({ CheckID: id, ...body }))];
  const order = instance.checks ?? {};
  const notes = Object.keys(order).length > 0 && { Notes: orderNotes(order) };
  const body = {
    ID: instance.id,
    Name: instance.service,
    Address: instance.address,
    Port: instance.port,
    Tags: instance.tags,
    // Consul refuses 0; the meta keeps it.
    Weights: { Passing: Math.max(1, instance.weight), Warning: 1 },
    Meta: meta,
    Checks: [
      ...checks.map((check, at) => (at === 0 ? { ...check, ...notes } : check)),
      ...(maintenance ? [maintained] : []),
    ],
  };
  return { body, leftOut };
}

/** Bytes of a value of Consul's meta. */
const longest = 512;

/**
 * The container in one value, or where that would be too long with its image in another: names of images with a
 * registry, a tag and a digest are long. What is longer still is cut; the id always stays whole, since it says
 * whose record it is.
 */
function containerMeta({
  container,
}: Instance): Pick<Registration, "leftOut"> & { meta: Record<string, string> } {
  if (!container) return { meta: {}, leftOut: [] };
  const whole = JSON.stringify(container);
  if (Buffer.byteLength(whole) <= longest) return { meta: { "portolan-container": whole }, leftOut: [] };
  const { id } = container;
  const textOf = (name: string) => JSON.stringify({ id, name });
  const name = cut(container.name, (name) => Buffer.byteLength(textOf(name)) <= longest);
  const image = cut(container.image, (image) => Buffer.byteLength(image) <= longest);
  return {
    meta: { "portolan-container": textOf(name), "portolan-image": image },
    leftOut: [
      ...(name === container.name ? [] : ["container.name: cut to what Consul takes"]),
      ...(image === container.image ? [] : ["container.image: cut to the 512 bytes that Consul takes"]),
    ],
  };
}

/** As much of the beginning of the text as fits. */
function cut(text: string, fits: (part: string) => boolean): string {
  let part = text;
  while (!fits(part) && part !== "") part = part.slice(0, -1);
  return part;
}

/**
 * The meta that Consul takes: 64 pairs, keys of `[A-Za-z0-9_-]` up to 128 long, values up to 512 bytes. It
 * would refuse the whole service for one pair more, so what does not fit is left out and named.
 */
function metaOf(instance: Instance): { meta: Record<string, string>; leftOut: string[] } {
  const { claim, role, protocol, owner } = instance;
  const container = containerMeta(instance);
  const own: Record<string, string> = {
    "portolan-node": instance.node,
    ...(owner !== undefined && { "portolan-owner": owner }),
    "portolan-state": instance.state,
    ...(protocol !== "tcp" && { "portolan-protocol": protocol }),
    ...(instance.weight === 0 && { "portolan-weight": "0" }),
    ...(role !== undefined && { "portolan-role": role }),
    ...container.meta,
    ...(claim && { "portolan-claim": JSON.stringify(claim) }),
  };
  const meta: Record<string, string> = {};
  const leftOut: string[] = [...container.leftOut];
  for (const [key, value] of Object.entries(own)) {
    if (Buffer.byteLength(value) <= longest) meta[key] = value;
    else leftOut.push(`${key.slice("portolan-".length)}: longer than the 512 bytes that Consul takes`);
  }
  for (const [key, value] of Object.entries(instance.meta)) {
    const why = refusal(key, value) ?? (Object.keys(meta).length < 64 ? undefined : "Consul takes 64 pairs");
    if (why === undefined) meta[key] = value;
    else leftOut.push(`meta.${key}: ${why}`);
  }
  return { meta, leftOut };
}

function refusal(key: string, value: string): string | undefined {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(key)) return "Consul takes keys of A-Z a-z 0-9 _ -, at most 128 long";
  if (key.startsWith("consul-")) return "Consul keeps keys that begin with consul- for itself";
  if (key.startsWith("portolan-")) return "keys that begin with portolan- are Portolan's own";
  return Buffer.byteLength(value) > longest ? "longer than the 512 bytes that Consul takes" : undefined;
}

/**
 * False for a name or id with an empty, `.` or `..` segment. Consul's HTTP server answers a path with such a
 * segment by redirecting to another path, so the service could be registered, but never read or removed.
 */
export function isAddressable(text: string): boolean {
  const parts = text.split("/");
  const last = parts.length - 1;
  return (
    text !== "" && !parts.some((part, at) => part === "." || part === ".." || (part === "" && at < last))
  );
}
