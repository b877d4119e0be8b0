import type { LocalContainer } from "../src/local-containers.ts";

/** A container of this host on Docker's default bridge, which exposes port 80. */
export function localContainer(
  given: Partial<LocalContainer> & { readonly name: string },
  internal: ReadonlyMap<string, boolean | undefined> = new Map([["1", false]]),
): LocalContainer {
  const own = { ip: "172.17.0.2", ip6LinkLocal: "", ip6Global: "" };
  const isInternal = internal.get("1");
  return {
    id: given.name,
    created: "2026-01-01T00:00:00Z",
    hostname: given.name,
    networkMode: "default",
    image: { name: "web:1", registry: "", repository: "web", tag: "1" },
    labels: {},
    env: {},
    addresses: [{ ...own, port: "80", proto: "tcp", hostPort: "", hostIp: "", bindings: [] }],
    networks: [
      {
        name: "bridge",
        ip: own.ip,
        ipPrefixLen: 16,
        gateway: "172.17.0.1",
        globalIpv6Address: "",
        globalIpv6PrefixLen: 0,
        ipv6Gateway: "",
        macAddress: "02:42:ac:11:00:02",
        aliases: [],
        endpointId: "e1",
        ...(isInternal !== undefined && { internal: isInternal }),
      },
    ],
    ...own,
    gateway: "172.17.0.1",
    mounts: [],
    volumes: {},
    devices: [],
    state: { status: "running", running: true, health: { status: "" }, exitCode: 0 },
    ...given,
  };
}
