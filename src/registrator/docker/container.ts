import type { ContainerInspectInfo } from "dockerode";
import { compare, type Protocol } from "../../instance.ts";

/** A container as far as registration depends on it: Docker's JSON, narrowed once at the border. */
export interface Container {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** As given to `docker run`. */
  readonly image: string;
  /** ISO 8601; orders containers by age. */
  readonly created: string;
  /** ISO 8601, when its process was last started, on the daemon's clock. */
  readonly started: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only the variables that registration may read: the environment of a container holds secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly paused: boolean;
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** Its stop signal was sent and it still runs. */
  readonly stopping: boolean;
  /** Signal number or name, e.g. `SIGTERM`. */
  readonly stopSignal: string;
  readonly stopTimeoutSeconds: number;
  readonly networkMode: string;
  /** By name. Addresses are empty strings where there is none. */
  readonly networks: readonly { readonly name: string; readonly ipv4: string; readonly ipv6: string }[];
  /** Every exposed or published port, by number and protocol. */
  readonly ports: readonly ContainerPort[];
}

/** A port inside the container and the host's ends that lead to it. */
export interface ContainerPort {
  readonly port: number;
  readonly protocol: Protocol;
  /** IPv4 first, then by port; empty when the port is not published. */
  readonly bindings: readonly { readonly address: string; readonly port: number }[];
  /**
   * The first binding as Docker lists it, or null when Docker lists the port without one. Absent when Docker
   * does not list the port at all, as under host networking. It is the only one that registrator knows.
   */
  readonly first?: { readonly address: string; readonly port: number } | null;
}

/** True when Docker's answer describes a container with a live process. */
export function isRunning(inspected: ContainerInspectInfo): boolean {
  return inspected.State.Running && !inspected.State.Restarting && !inspected.State.Dead;
}

/** Of the last process; undefined while one lives, or when none ever did. */
export function exitCodeOf({ State: state }: ContainerInspectInfo): number | undefined {
  // Docker writes the zero of its clock, the year 1, for what never began.
  return state.Running && !state.Restarting
    ? undefined
    : Date.parse(state.StartedAt) > 0
      ? state.ExitCode
      : undefined;
}

/** Narrows Docker's answer. `readable` says which environment variables may be kept. */
export function toContainer(inspected: ContainerInspectInfo, readable: (name: string) => boolean): Container {
  const { Config: config, NetworkSettings: network, State: state } = inspected;
  const host = inspected.HostConfig as { NetworkMode?: string };
  // StopTimeout and StopSignal are missing from the published types.
  const stop = config as { StopSignal?: string; StopTimeout?: number | null };
  return {
    id: inspected.Id,
    name: inspected.Name.replace(/^\//, ""),
    image: config.Image,
    created: inspected.Created,
    started: state.StartedAt,
    labels: config.Labels ?? {},
    env: Object.fromEntries(
      (config.Env ?? []).map((entry) => splitOnce(entry, "=")).filter(([name]) => readable(name)),
    ),
    paused: state.Paused,
    health: healthOf(state.Health?.Status),
    stopping: false,
    stopSignal: stop.StopSignal || "SIGTERM",
    stopTimeoutSeconds: stop.StopTimeout ?? 10,
    networkMode: host.NetworkMode ?? "default",
    networks: Object.entries(network.Networks ?? {})
      .map(([name, end]) => ({ name, ipv4: end.IPAddress ?? "", ipv6: end.GlobalIPv6Address ?? "" }))
      .sort((a, b) => compare(a.name, b.name)),
    ports: portsOf(config.ExposedPorts ?? {}, network.Ports ?? {}),
  };
}

/** The text before and after the first separator; a text without one has nothing after it. */
function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

function healthOf(status: string | undefined): Container["health"] {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : "none";
}

type Bindings = Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>>;

function firstOf(listed: Bindings[string] | undefined): Pick<ContainerPort, "first"> {
  if (listed === undefined) return {};
  const port = Number(listed?.[0]?.HostPort);
  return { first: port > 0 ? { address: listed?.[0]?.HostIp ?? "", port } : null };
}

function portsOf(exposed: Readonly<Record<string, unknown>>, published: Bindings): readonly ContainerPort[] {
  const names = new Set([...Object.keys(exposed), ...Object.keys(published)]);
  return [...names]
    .flatMap((name): ContainerPort[] => {
      const match = /^(\d+)\/(tcp|udp|sctp)$/.exec(name);
      if (!match) return [];
      const bindings = (published[name] ?? [])
        .map((binding) => ({ address: binding.HostIp, port: Number(binding.HostPort) }))
        .filter((binding) => binding.port > 0)
        .sort(
          (a, b) =>
            Number(a.address.includes(":")) - Number(b.address.includes(":")) ||
            a.port - b.port ||
            compare(a.address, b.address),
        );
      return [
        { port: Number(match[1]), protocol: match[2] as Protocol, bindings, ...firstOf(published[name]) },
      ];
    })
    .sort((a, b) => a.port - b.port || compare(a.protocol, b.protocol));
}
