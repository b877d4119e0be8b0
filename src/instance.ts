import { PortolanError } from "./errors.ts";

/** Whether an instance may be offered traffic; only `ready` ones are offered by default. */
export type State = "ready" | "starting" | "unhealthy" | "draining" | "paused";
export const states: readonly State[] = ["ready", "starting", "unhealthy", "draining", "paused"];

export type Role = "master" | "slave";
export type Protocol = "tcp" | "udp" | "sctp";

/**
 * One address and port of one service: what the backends hold and the templates read. Records that
 * Portolan did not write (Consul services of others) have no owner and no container.
 */
export interface Instance {
  /** `<node>:<container name>:<container port>[:udp|:sctp]`, or what SERVICE_ID says. */
  readonly id: string;
  readonly service: string;
  /** IPv4 or IPv6 without brackets. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
  readonly protocol: Protocol;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  /** 0 to 256. */
  readonly weight: number;
  readonly state: State;
  readonly role?: Role;
  /** Who says that it has the role; a higher epoch is newer. */
  readonly claim?: { readonly by: string; readonly epoch?: string };
  readonly node: string;
  readonly container?: { readonly id: string; readonly name: string; readonly image: string };
  /** `<node>/<Docker id>`: the only writer of this record. */
  readonly owner?: string;
  /**
   * What its registry should check about it, by key: `http` of `SERVICE_CHECK_HTTP`. An order to a backend
   * whose registry can check, and no part of the record: it is neither encoded nor read back by the others.
   */
  readonly checks?: Readonly<Record<string, string>>;
}

/** Keys of `checks` whose values are no secrets; `header`, `body`, `script` and misspelt ones are not among them. */
const openChecks =
  /^(\d+_)?(https?|tcp|grpc|ttl|interval|timeout|initial_status|deregister_after|success_before_passing|failures_before_critical|(https?_)?method|tls_skip_verify|grpc_use_tls)$/;

/**
 * Whether what one of the `checks` says may be a secret, which belongs into no log, page or registry: also a text
 * with credentials, or with a parameter that is named like one.
 */
export function isSecretCheck(key: string, value: string): boolean {
  const parameter = /[?&][^=&]*(token|key|secret|pass|pwd|auth|sig|cred)[^=&]*=/i;
  return !openChecks.test(key) || value.includes("@") || parameter.test(value);
}

/** What names a record in every backend. */
export type InstanceRef = Pick<Instance, "service" | "id">;

/** Map key of a record. NUL cannot stand in a name. */
export function refKey(ref: InstanceRef): string {
  return `${ref.service}\0${ref.id}`;
}

/** The instance as its record: JSON, keys in the documented order, absent when unknown, meta sorted. */
export function encodeInstance(instance: Instance): string {
  return JSON.stringify(canonical(instance));
}

/** An equal instance whose keys stand in the documented order. */
export function canonical(i: Instance): Instance {
  return {
    id: i.id,
    service: i.service,
    address: i.address,
    port: i.port,
    protocol: i.protocol,
    tags: [...i.tags],
    meta: Object.fromEntries(Object.entries(i.meta).sort(([a], [b]) => compare(a, b))),
    weight: i.weight,
    state: i.state,
    ...(i.role !== undefined && { role: i.role }),
    ...(i.claim !== undefined && {
      claim: { by: i.claim.by, ...(i.claim.epoch !== undefined && { epoch: i.claim.epoch }) },
    }),
    node: i.node,
    ...(i.container !== undefined && {
      container: { id: i.container.id, name: i.container.name, image: i.container.image },
    }),
    ...(i.owner !== undefined && { owner: i.owner }),
  };
}

/** True when both would be written as the same record, with the same checks. */
export function sameInstance(a: Instance, b: Instance): boolean {
  return a === b || (encodeInstance(a) === encodeInstance(b) && checksText(a) === checksText(b));
}

function checksText({ checks = {} }: Instance): string {
  return JSON.stringify(Object.entries(checks).sort(([a], [b]) => compare(a, b)));
}

/**
 * Reads a record. `place` is the key or file, for the error. Unknown keys are ignored, so that an older
 * reader survives a newer writer. Throws RECORD when a field is missing or of the wrong type.
 */
export function decodeInstance(text: string, place: string): Instance {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PortolanError("RECORD", `${place}: not JSON`, { cause });
  }
  const bad = (what: string) => new PortolanError("RECORD", `${place}: ${what}`);
  if (!isObject(value)) throw bad("not a JSON object");
  const record = value;

  const text_ = (key: string): string => {
    const field = record[key];
    if (typeof field !== "string" || field === "") throw bad(`"${key}" is not a non-empty string`);
    return field;
  };
  const port = record.port;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw bad('"port" is not a number from 1 to 65535');
  }
  const weight = record.weight ?? 1;
  if (typeof weight !== "number" || !Number.isInteger(weight) || weight < 0 || weight > 256) {
    throw bad('"weight" is not a number from 0 to 256');
  }
  const protocol = oneOf(record.protocol ?? "tcp", ["tcp", "udp", "sctp"] as const);
  if (protocol === undefined) throw bad('"protocol" is not tcp, udp or sctp');
  const state = oneOf(record.state ?? "ready", states);
  if (state === undefined) throw bad(`"state" is not one of ${states.join(", ")}`);
  const role = record.role === undefined ? undefined : oneOf(record.role, ["master", "slave"] as const);
  if (record.role !== undefined && role === undefined) throw bad('"role" is not master or slave');
  const tags = record.tags ?? [];
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string")) {
    throw bad('"tags" is not an array of strings');
  }
  const meta = record.meta ?? {};
  if (!isObject(meta) || !Object.values(meta).every((entry) => typeof entry === "string")) {
    throw bad('"meta" is not an object of strings');
  }
  const claim = record.claim;
  const container = record.container;
  return canonical({
    id: text_("id"),
    service: text_("service"),
    address: text_("address"),
    port,
    protocol,
    tags,
    meta: meta as Record<string, string>,
    weight,
    state,
    ...(role !== undefined && { role }),
    ...(isObject(claim) &&
      typeof claim.by === "string" && {
        claim: { by: claim.by, ...(typeof claim.epoch === "string" && { epoch: claim.epoch }) },
      }),
    node: text_("node"),
    ...(isObject(container) &&
      typeof container.id === "string" &&
      typeof container.name === "string" &&
      typeof container.image === "string" && {
        container: { id: container.id, name: container.name, image: container.image },
      }),
    ...(typeof record.owner === "string" && { owner: record.owner }),
  });
}

/** Order of ids, names and keys everywhere: by code unit, so that equal worlds give equal bytes. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A service name or id as one path segment of a key or file name: every byte outside
 * `[A-Za-z0-9._:@+-]`, and a leading dot, is percent-encoded.
 */
export function encodeSegment(text: string): string {
  let out = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const char = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9._:@+-]/.test(char) && !(char === "." && out === "");
    out += plain ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** The inverse of encodeSegment. */
export function decodeSegment(segment: string): string {
  return decodeURIComponent(segment);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function oneOf<const T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  return allowed.find((candidate) => candidate === value);
}
