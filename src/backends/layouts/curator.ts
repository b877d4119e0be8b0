import { encodeSegment } from "../../instance.ts";
import { type ListedLayout, unreadable } from "./layout.ts";
import { fieldsOf, instanceOf, segmentsOf, textIn } from "./plain.ts";

/**
 * What Apache Curator's service discovery writes: `<services>/<service>/<id>` holds its ServiceInstance. The
 * payload is null, since each reader takes one class of it only, and null in every case. It has no state, so only
 * ready instances stand there. `registrationTimeUTC` is 0: nobody decides by it, and equal instances have
 * equal texts.
 */
export function curatorLayout(services: string, root: string): ListedLayout {
  return {
    name: "curator",
    services,
    root,
    whole: false,
    keyOf: ({ service, id }) => `${services}/${encodeSegment(service)}/${encodeSegment(id)}`,
    textOf({ state, service, id, address, port }) {
      if (state !== "ready") return undefined;
      return JSON.stringify({
        name: service,
        id,
        address,
        port,
        sslPort: null,
        payload: null,
        registrationTimeUTC: 0,
        serviceType: "DYNAMIC",
        uriSpec: null,
      });
    },
    read(key, text) {
      const { service, id } = segmentsOf(services, key);
      const { name, address, port, sslPort, enabled, payload } = fieldsOf(key, text);
      if (name !== service) throw unreadable(key, `the record says it is of service ${JSON.stringify(name)}`);
      const metadata = metadataOf(payload);
      const ready = enabled !== false && metadata.instance_status !== "OUT_OF_SERVICE";
      return instanceOf(key, {
        id,
        service,
        address: textIn(address),
        port: Number(port ?? sslPort),
        state: ready ? "ready" : "draining",
        meta: metadata,
      });
    },
  };
}

/** The metadata of Spring Cloud's and Dubbo's payloads. */
function metadataOf(payload: unknown): Record<string, string> {
  const metadata = (payload as { readonly metadata?: unknown } | null | undefined)?.metadata;
  if (typeof metadata !== "object" || metadata === null) return {};
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => typeof value === "string"));
}
