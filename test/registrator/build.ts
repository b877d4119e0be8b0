import type { Container, ContainerPort } from "../../src/registrator/docker/container.ts";
import type { Engine } from "../../src/registrator/docker/engine.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";

/** A container with nothing special about it. */
export function container(over: Partial<Container> = {}): Container {
  return {
    id: `id-${over.name ?? "web-1"}`,
    name: "web-1",
    image: "acme/web:1.2",
    created: "2026-01-01T00:00:00Z",
    started: "2026-01-01T00:00:01Z",
    labels: {},
    env: {},
    paused: false,
    health: "none",
    stopping: false,
    stopSignal: "SIGTERM",
    stopTimeoutSeconds: 10,
    networkMode: "default",
    networks: [{ name: "bridge", ipv4: "172.17.0.2", ipv6: "" }],
    ports: [published(80, 32768)],
    ...over,
  };
}

/** A TCP port as Docker 20.10 publishes it for one `-p`: on both unspecified addresses. */
export function published(
  port: number,
  hostPort: number,
  protocol: ContainerPort["protocol"] = "tcp",
): ContainerPort {
  const bindings = [
    { address: "0.0.0.0", port: hostPort },
    { address: "::", port: hostPort },
  ];
  return { port, protocol, bindings, first: { address: "0.0.0.0", port: hostPort } };
}

/** A port that is exposed only. */
export function exposed(port: number, protocol: ContainerPort["protocol"] = "tcp"): ContainerPort {
  return { port, protocol, bindings: [], first: null };
}

/** An exposed port of a container whose ports Docker does not list, as under host networking. */
export function unlisted(port: number, protocol: ContainerPort["protocol"] = "tcp"): ContainerPort {
  return { port, protocol, bindings: [] };
}

export function engine(...containers: readonly Container[]): Engine {
  return {
    id: "T5AP:HDRY",
    hostname: "host1",
    apiVersion: "1.41",
    containers: new Map(containers.map((entry) => [entry.id, entry])),
    unread: new Map(),
    ended: new Map(),
    crashing: new Map(),
  };
}

export function settings(over: Partial<RegistratorSettings> = {}): RegistratorSettings {
  return {
    node: undefined,
    ip: undefined,
    internal: false,
    network: undefined,
    explicit: false,
    tags: [],
    name: undefined,
    useIpFromLabel: undefined,
    deregister: "always",
    requireHealthy: false,
    compat: undefined,
    adopt: false,
    allowCheckScripts: false,
    probes: { interval: 1_000, timeout: 800, rise: 2, fall: 3, logins: new Map() },
    onPromote: undefined,
    ttlSeconds: 15,
    resync: 60_000,
    onExit: "keep",
    select: undefined,
    labelPrefix: "SERVICE_",
    ...over,
  };
}
