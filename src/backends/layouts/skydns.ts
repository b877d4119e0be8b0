import { createHash } from "node:crypto";
import { type ListedLayout, unreadable } from "./layout.ts";
import { fieldsOf, instanceOf, segmentsOf, textIn } from "./plain.ts";

/** Seconds for which a resolver may keep an answer: no less than what CoreDNS makes of a short lease. */
const timeToLive = 30;
/** Of DNS. */
const labelLimit = 63;

/**
 * What CoreDNS' etcd plugin reads, and SkyDNS before it: `/skydns/<domain reversed>/<service>/<id>` holds the
 * address and the port, where service and id are DNS labels. A slave has a higher `priority`, by which SRV
 * clients prefer its master. DNS knows no state, so only ready instances stand there.
 */
export function skydnsLayout(domain: string, root: string): ListedLayout {
  const services = `/skydns/${domain.split(".").reverse().join("/")}`;
  return {
    name: "skydns",
    services,
    root,
    whole: false,
    keyOf: ({ service, id }) => `${services}/${dnsLabel(service)}/${dnsLabel(id)}`,
    textOf({ state, address, port, role, weight }) {
      if (state !== "ready") return undefined;
      const priority = role === "slave" ? 20 : 10;
      return JSON.stringify({ host: address, port, priority, weight, ttl: timeToLive });
    },
    read(key, text) {
      const { service, id } = segmentsOf(services, key);
      const { host, port, weight = 1 } = fieldsOf(key, text);
      if (typeof weight !== "number" || !Number.isInteger(weight) || weight < 0 || weight > 256) {
        throw unreadable(key, '"weight" is not a number from 0 to 256');
      }
      return instanceOf(key, { id, service, address: textIn(host), port: Number(port), weight });
    },
  };
}

/**
 * A name as one label: lower case, anything but letters, digits, `_` and `-` as `-`. What is too long is cut,
 * and told apart by a part of its hash.
 */
export function dnsLabel(name: string): string {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  if (label !== "" && label.length <= labelLimit) return label;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return label === "" ? hash : `${label.slice(0, labelLimit - 9)}-${hash}`;
}
