import { compare, encodeSegment } from "../../instance.ts";
import { type ListedLayout, unreadable } from "./layout.ts";
import { fieldsOf, instanceOf, readId, segmentsOf, textIn } from "./plain.ts";

/**
 * What gliderlabs/registrator writes to etcd and to Consul's KV store: `<services>/<service>/<id>` holds
 * `ip:port`, an IPv6 address in brackets. It says nothing about the state, so only ready instances stand there.
 */
export function registratorLayout(services: string, root: string): ListedLayout {
  return {
    name: "registrator",
    services,
    root,
    whole: false,
    keyOf: ({ service, id }) => `${services}/${encodeSegment(service)}/${encodeSegment(id)}`,
    textOf({ state, address, port }) {
      if (state !== "ready") return undefined;
      return `${address.includes(":") ? `[${address}]` : address}:${port}`;
    },
    read(key, text) {
      const { service, id } = segmentsOf(services, key);
      const [, v6, v4, port] = /^(?:\[([^\]\s]+)\]|([^:\s]+)):(\d+)$/.exec(text.trim()) ?? [];
      const address = v6 ?? v4;
      if (address === undefined) throw unreadable(key, `"${text.slice(0, 100)}" is not ip:port`);
      return instanceOf(key, { id, service, address, port: Number(port) });
    },
  };
}

/**
 * What gliderlabs/registrator writes to ZooKeeper: `<services>/<service>/<ip>:<port>` holds its JSON. An IPv6
 * address has no brackets there. The id is not told, so a reader takes the node's own name for it; an instance
 * of TCP and one of UDP at the same address and port have one and the same node.
 */
export function registratorNodeLayout(services: string, root: string): ListedLayout {
  return {
    name: "registrator",
    services,
    root,
    whole: false,
    keyOf: ({ service, address, port }) => `${services}/${encodeSegment(service)}/${address}:${port}`,
    textOf({ id, service, state, address, port, container, tags, meta }) {
      if (state !== "ready") return undefined;
      return goJson({
        Name: service,
        IP: address,
        PublicPort: port,
        PrivatePort: readId(id)?.port ?? port,
        // The container's host name, which is this part of its id unless somebody chose another one.
        ContainerID: container?.id.slice(0, 12) ?? "",
        Tags: tags,
        Attrs: Object.fromEntries(Object.entries(meta).sort(([a], [b]) => compare(a, b))),
      });
    },
    read(key, text) {
      const { service, id } = segmentsOf(services, key);
      const { Name, IP, PublicPort, Tags, Attrs } = fieldsOf(key, text);
      if (Name !== service) throw unreadable(key, `the record says it is of service ${JSON.stringify(Name)}`);
      const tags = Array.isArray(Tags) ? Tags.filter((tag) => typeof tag === "string") : [];
      const attributes = typeof Attrs === "object" && Attrs !== null ? Object.entries(Attrs) : [];
      return instanceOf(key, {
        id,
        service,
        address: textIn(IP),
        port: Number(PublicPort),
        protocol: tags.includes("udp") ? "udp" : "tcp",
        tags,
        meta: Object.fromEntries(attributes.filter(([, value]) => typeof value === "string")),
      });
    },
  };
}

/** JSON as Go's encoder writes it, which also escapes what HTML or JavaScript would stumble over. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
