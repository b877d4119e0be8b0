import { PortolanError } from "../../errors.ts";
import { compare, decodeInstance, type Instance } from "../../instance.ts";
import { aliasCheck, heartbeatPrefix, maintenanceCheck, stateInNotes } from "./body.ts";

/** A service as the agent and the catalog tell it. */
export interface Service {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: unknown;
  readonly tags: unknown;
  readonly meta: Readonly<Record<string, string>>;
  readonly weight: number;
}

/** A check as the agent and the catalog tell it. */
export interface Check {
  readonly id: string;
  readonly passing: boolean;
  readonly critical: boolean;
  readonly notes: string;
  /** The id of its service; empty for a check of the whole node. */
  readonly service: string;
}

/** One service on one Consul node, with the checks of both. */
export interface Entry {
  readonly node: string;
  readonly nodeAddress: string;
  readonly service: Service;
  readonly checks: readonly Check[];
}

/** What is known of one service: its instances in order of id, and the unreadable ones with the reason. */
export interface ServiceAnswer {
  readonly instances: readonly Instance[];
  readonly invalid: ReadonlyMap<string, string>;
  /** The instances by the text of their record. */
  readonly byText: ReadonlyMap<string, Instance>;
}

/** How an answer is to be taken. */
export interface Reading {
  /** Nobody can tell whether an empty list is all that there is. */
  readonly isDoubtful?: boolean | undefined;
  /** Whether an instance that has expired, by id, is not to be believed gone yet. */
  isEarly?(id: string): boolean;
}

/**
 * The answer of `/v1/health/service/<name>`. An instance whose record did not change is the same object as in
 * `previous`, and `previous` itself comes back when none did. What has expired too lately stays as it was. Throws
 * RECORD when the answer is no list.
 */
export function readService(
  name: string,
  body: unknown,
  previous?: ServiceAnswer,
  { isDoubtful = false, isEarly = () => false }: Reading = {},
): ServiceAnswer {
  const invalid = new Map<string, string>();
  if (isDoubtful) invalid.set(name, `service ${name}: ${doubt}`);
  const byText = new Map<string, Instance>();
  /** By id, with its text; made only where something has expired. */
  let before: Map<string, readonly [string, Instance]> | undefined;
  const asBefore = (id: string) => {
    before ??= new Map([...(previous?.byText ?? [])].map((entry) => [entry[1].id, entry]));
    return before.get(id);
  };
  const entries = readEntries(name, body);
  const count = new Map<string, number>();
  for (const { service } of entries) count.set(service.id, (count.get(service.id) ?? 0) + 1);
  for (const entry of entries) {
    const { service, node } = entry;
    if (service.meta["portolan-run"] !== undefined) continue;
    const place = `${name}/${service.id} on ${node}`;
    // Consul's ids are unique within one of its nodes only.
    const id = count.get(service.id) === 1 ? service.id : `${service.id}@${node}`;
    if (isExpired(entry)) {
      const shown = asBefore(id);
      if (shown && isEarly(id)) byText.set(...shown);
      continue;
    }
    try {
      const text = recordText(service, {
        id,
        address: service.address || entry.nodeAddress,
        node,
        state: servedState(entry),
      });
      byText.set(text, previous?.byText.get(text) ?? decodeInstance(text, place));
    } catch (error) {
      invalid.set(place, error instanceof Error ? error.message : String(error));
    }
  }
  if (previous && sameKeys(previous.byText, byText) && sameKeys(previous.invalid, invalid)) return previous;
  return { instances: [...byText.values()].sort((a, b) => compare(a.id, b.id)), invalid, byText };
}

const doubt =
  "nothing is there, or the token may not read it: this Consul does not tell; see that the token has " +
  "service_prefix and node_prefix with read";

const sameKeys = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>) =>
  a.size === b.size && [...b.keys()].every((key) => a.has(key));

/** The names in the answer of `/v1/catalog/services`, in order; `previous` when they are the same. */
export function readNames(body: unknown, previous?: readonly string[]): readonly string[] {
  if (!isObject(body)) throw new PortolanError("RECORD", "Consul's list of services is no object");
  const names = Object.keys(body)
    .filter((name) => !name.startsWith(heartbeatPrefix))
    .sort(compare);
  return previous?.length === names.length && names.every((name, at) => name === previous[at])
    ? previous
    : names;
}

/** The entries of `/v1/health/service/<name>`. */
export function readEntries(name: string, body: unknown): readonly Entry[] {
  if (!Array.isArray(body)) throw new PortolanError("RECORD", `Consul's answer for ${name} is no list`);
  return body.map((value): Entry => {
    const { Node, Service, Checks } = object(value);
    const node = object(Node);
    return {
      node: string(node.Node),
      nodeAddress: string(node.Address),
      service: readOne(Service),
      checks: readChecks(Checks),
    };
  });
}

/** The answer of `/v1/agent/health/service/id/<id>`: none or one. */
export function readAgentHealth(body: unknown): readonly Entry[] {
  const { Service, Checks } = object(body);
  if (!isObject(Service)) return [];
  return [{ node: "", nodeAddress: "", service: readOne(Service), checks: readChecks(Checks) }];
}

/** The services in the answer of `/v1/agent/services`. */
export function readAgentServices(body: unknown): readonly Service[] {
  if (!isObject(body))
    throw new PortolanError("RECORD", "Consul's answer of the agent's services is no object");
  return Object.values(body).map(readOne);
}

/** The checks in the answer of `/v1/agent/checks`. */
export function readAgentChecks(body: unknown): readonly Check[] {
  if (!isObject(body))
    throw new PortolanError("RECORD", "Consul's answer of the agent's checks is no object");
  return readChecks(Object.values(body));
}

/** The agent's Consul node in the answer of `/v1/agent/self`. */
export function readAgentNode(body: unknown): string {
  return string(object(object(body).Config).NodeName);
}

function readOne(value: unknown): Service {
  const { ID, Service, Address, Port, Tags, Meta, Weights } = object(value);
  const weight = object(Weights).Passing;
  return {
    id: string(ID),
    name: string(Service),
    address: string(Address),
    port: Port,
    tags: Tags ?? [],
    meta: Object.fromEntries(Object.entries(object(Meta)).map(([key, text]) => [key, string(text)])),
    weight: typeof weight === "number" ? Math.min(256, Math.max(0, Math.trunc(weight))) : 1,
  };
}

function readChecks(value: unknown): readonly Check[] {
  return (Array.isArray(value) ? value : []).map((item): Check => {
    const { CheckID, Status, Notes, ServiceID } = object(item);
    return {
      id: string(CheckID),
      passing: Status === "passing",
      critical: Status === "critical",
      notes: string(Notes),
      service: string(ServiceID),
    };
  });
}

/** The record as its owner last wrote it, whatever maintenance an operator added since. */
export function writtenInstance(service: Service): Instance {
  const state = service.meta["portolan-state"] ?? "ready";
  const text = recordText(service, { id: service.id, address: service.address, node: "", state });
  return decodeInstance(text, `${service.name}/${service.id}`);
}

/** A service without an owner, as much of it as there is: never shown, only compared and removed. */
export function adoptedInstance({ id, name, address, port, meta, weight }: Service, node: string): Instance {
  return {
    id,
    service: name,
    address,
    port: typeof port === "number" ? port : 0,
    protocol: "tcp",
    tags: [],
    meta,
    weight,
    state: "ready",
    node,
  };
}

/** The service as the JSON of an instance record. Throws RECORD when Portolan's own meta is not JSON. */
function recordText(
  service: Service,
  from: { readonly id: string; readonly address: string; readonly node: string; readonly state: string },
): string {
  const { meta } = service;
  const owner = meta["portolan-owner"];
  const base = {
    id: from.id,
    service: service.name,
    address: from.address,
    port: service.port,
    tags: service.tags,
    state: from.state,
  };
  if (owner === undefined) return JSON.stringify({ ...base, meta, weight: service.weight, node: from.node });
  return JSON.stringify({
    ...base,
    protocol: meta["portolan-protocol"],
    meta: Object.fromEntries(Object.entries(meta).filter(([key]) => !key.startsWith("portolan-"))),
    weight: meta["portolan-weight"] === "0" ? 0 : service.weight,
    role: meta["portolan-role"],
    claim: parsed(service, "portolan-claim"),
    node: meta["portolan-node"],
    container: containerOf(service),
    owner,
  });
}

/** The image has a value of its own where both together are too long. */
function containerOf(service: Service): unknown {
  const image = service.meta["portolan-image"];
  const container = parsed(service, "portolan-container");
  return image === undefined || !isObject(container) ? container : { ...container, image };
}

function parsed(service: Service, key: string): unknown {
  const text = service.meta[key];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PortolanError("RECORD", `${service.name}/${service.id}: meta ${key} is not JSON`, { cause });
  }
}

/**
 * True for a record of Portolan whose host no longer beats or whose Consul node is dead. Under node
 * maintenance the alias check may be critical for that reason alone, and says nothing.
 */
function isExpired({ service, checks }: Entry): boolean {
  if (service.meta["portolan-owner"] === undefined) return false;
  const critical = (id: string) => checks.some((check) => check.id === id && check.critical);
  return critical("serfHealth") || (critical(aliasCheck(service.id)) && !critical("_node_maintenance"));
}

/** The state in which Consul serves it: maintenance first, then what its owner wrote, then its checks. */
function servedState({ service, checks }: Entry): string {
  const maintenance = checks.find((check) => check.id === maintenanceCheck(service.id));
  const owned = service.meta["portolan-owner"] !== undefined;
  if (maintenance) return (owned ? stateInNotes(maintenance.notes) : undefined) ?? "draining";
  if (checks.some((check) => check.id === "_node_maintenance")) return "draining";
  const written = (owned ? service.meta["portolan-state"] : undefined) ?? "ready";
  return written === "ready" && checks.some((check) => !check.passing) ? "unhealthy" : written;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const object = (value: unknown): Record<string, unknown> => (isObject(value) ? value : {});

const string = (value: unknown): string => (typeof value === "string" ? value : "");
