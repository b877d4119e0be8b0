import { decodeSegment, type Instance, type Protocol } from "../../instance.ts";
import { unreadable } from "./layout.ts";

/** What a format that holds less than a record says about an instance. */
export type Said = Pick<Instance, "id" | "service" | "address" | "port"> & Partial<Instance>;

/** `<node>:<container name>:<container port>`, then `:udp`, `@<host port>` and `:<name>` where there are any. */
const generated = /^(.+?):([a-zA-Z0-9][a-zA-Z0-9_.-]+):([0-9]+)(?::(udp|sctp))?(?:[:@].*)?$/;

/** What a generated id says, also one of gliderlabs/registrator; undefined for another one. */
export function readId(
  id: string,
): { readonly node: string; readonly port: number; readonly protocol: Protocol } | undefined {
  const [, node, , port, protocol] = generated.exec(id) ?? [];
  if (node === undefined) return undefined;
  return { node, port: Number(port), protocol: protocol === "udp" || protocol === "sctp" ? protocol : "tcp" };
}

/**
 * The instance of which only so much is known. What stands there is ready; its node and protocol are what its
 * id says, else the address and TCP.
 */
export function instanceOf(key: string, said: Said): Instance {
  const { id, service, address, port } = said;
  if (id === "" || service === "") throw unreadable(key, "no service and id");
  if (typeof address !== "string" || address === "") throw unreadable(key, "no address");
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw unreadable(key, `port ${port} is not a number from 1 to 65535`);
  }
  const { node = address, protocol = "tcp" } = readId(id) ?? {};
  return { protocol, tags: [], meta: {}, weight: 1, state: "ready", node, ...said };
}

/** The service and the id (or what stands for it) of a key below `services`. */
export function segmentsOf(services: string, key: string): { readonly service: string; readonly id: string } {
  const [service, id, ...rest] = key.slice(services.length + 1).split("/");
  if (!key.startsWith(`${services}/`) || !service || !id || rest.length > 0) {
    throw unreadable(key, `not a key of the form ${services}/<service>/<id>`);
  }
  try {
    return { service: decodeSegment(service), id: decodeSegment(id) };
  } catch {
    throw unreadable(key, "a percent sign that begins no escape");
  }
}

/** The fields of a JSON object. */
export function fieldsOf(key: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    throw unreadable(key, "not JSON");
  }
  throw unreadable(key, "not a JSON object");
}

/** The text where it is one, for fields of other people's JSON. */
export function textIn(value: unknown): string {
  return typeof value === "string" ? value : "";
}
