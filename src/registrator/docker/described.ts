import type { ContainerInspectInfo } from "dockerode";
import { compare } from "../../instance.ts";
import type { LocalAddress, LocalContainer, LocalImage, LocalNetwork } from "../../local-containers.ts";

/** Whether each network leads nowhere else, by its id; undefined where Docker did not say. */
export type Internal = ReadonlyMap<string, boolean | undefined>;

/** Docker's whole answer, in our words. Fields that an older or newer Docker leaves out are empty. */
export function describe(inspected: ContainerInspectInfo, internal: Internal): LocalContainer {
  const { Config: config, State: state } = inspected;
  const host = inspected.HostConfig as Host;
  const network = inspected.NetworkSettings as Network;
  const ends = Object.entries(network.Networks ?? {}).sort(([a], [b]) => compare(a, b));
  const main: End | undefined = network.Networks?.bridge ?? (ends.length === 1 ? ends[0]?.[1] : undefined);
  const own = {
    ip: main?.IPAddress ?? "",
    ip6LinkLocal: network.LinkLocalIPv6Address ?? "",
    ip6Global: main?.GlobalIPv6Address ?? "",
  };
  const mounts = (inspected.Mounts ?? [])
    .map((mount) => ({
      type: mount.Type ?? "",
      name: mount.Name ?? "",
      source: mount.Source ?? "",
      destination: mount.Destination,
      driver: mount.Driver ?? "",
      mode: mount.Mode ?? "",
      rw: mount.RW ?? false,
    }))
    .sort((a, b) => compare(a.destination, b.destination));
  return {
    id: inspected.Id,
    name: inspected.Name.replace(/^\//, ""),
    created: inspected.Created,
    hostname: config.Hostname ?? "",
    networkMode: host.NetworkMode ?? "",
    image: imageOf(config.Image),
    labels: config.Labels ?? {},
    env: variables(config.Env ?? []),
    addresses: addressesOf(network.Ports ?? {}, config.ExposedPorts ?? {}, own),
    networks: ends.map(([name, end]) => networkOf(name, end, internal)),
    ...own,
    gateway: main?.Gateway ?? "",
    mounts,
    volumes: Object.fromEntries(
      mounts.map(({ destination, source, rw }) => [
        destination,
        { path: destination, hostPath: source, readWrite: rw },
      ]),
    ),
    devices: (host.Devices ?? []).map(({ PathOnHost, PathInContainer }) => ({
      pathOnHost: PathOnHost,
      pathInContainer: PathInContainer,
    })),
    state: {
      status: state.Status ?? (state.Paused ? "paused" : state.Running ? "running" : "exited"),
      running: state.Running,
      health: { status: state.Health?.Status?.replace("none", "") ?? "" },
      exitCode: state.ExitCode ?? 0,
    },
  };
}

/** The ids of the networks that a container is on. */
export function networksOf({ NetworkSettings: settings }: ContainerInspectInfo): readonly string[] {
  return Object.values((settings as Network).Networks ?? {}).flatMap(({ NetworkID: id }) => id || []);
}

interface Host {
  readonly NetworkMode?: string;
  readonly Devices?: readonly { readonly PathOnHost: string; readonly PathInContainer: string }[] | null;
}

/** A container's end on a network, as any version of Docker tells it. */
type End = Partial<{
  readonly [K in keyof ContainerInspectInfo["NetworkSettings"]["Networks"][string]]:
    | ContainerInspectInfo["NetworkSettings"]["Networks"][string][K]
    | null;
}>;

interface Network {
  readonly Networks?: Readonly<Record<string, End>> | null;
  readonly Ports?: Ports | null;
  readonly LinkLocalIPv6Address?: string;
}

type Ports = Readonly<
  Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
>;

function networkOf(name: string, end: End, internal: Internal): LocalNetwork {
  const isInternal = internal.get(end.NetworkID ?? "");
  return {
    name,
    ip: end.IPAddress ?? "",
    ipPrefixLen: end.IPPrefixLen ?? 0,
    gateway: end.Gateway ?? "",
    globalIpv6Address: end.GlobalIPv6Address ?? "",
    globalIpv6PrefixLen: end.GlobalIPv6PrefixLen ?? 0,
    ipv6Gateway: end.IPv6Gateway ?? "",
    macAddress: end.MacAddress ?? "",
    aliases: [...((end.Aliases as readonly string[] | null | undefined) ?? [])].sort(compare),
    endpointId: end.EndpointID ?? "",
    ...(isInternal !== undefined && { internal: isInternal }),
  };
}

/** As Docker itself takes it apart: a first part without a dot or colon is no registry, but for `localhost`. */
function imageOf(name: string): LocalImage {
  const [, registry = "", rest = ""] = /^(?:((?:[^/]*[.:][^/]*|localhost))\/)?(.*)$/.exec(name) ?? [];
  const [, repository = "", tag = ""] = /^([^:@]*)(?::([^@]*))?/.exec(rest) ?? [];
  return { name, registry, repository, tag };
}

function variables(entries: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entries.map((entry) => {
      const [name = ""] = entry.split("=", 1);
      return [name, entry.slice(name.length + 1)];
    }),
  );
}

function addressesOf(
  ports: Ports,
  exposed: Readonly<Record<string, unknown>>,
  own: Pick<LocalAddress, "ip" | "ip6LinkLocal" | "ip6Global">,
): readonly LocalAddress[] {
  // Under host networking and on internal networks Docker lists no ports, only what the image exposes.
  const names = [...new Set([...Object.keys(ports), ...Object.keys(exposed)])];
  return names
    .map((name) => {
      const [port = "", proto = ""] = name.split("/");
      const bindings = (ports[name] ?? [])
        .map(({ HostIp, HostPort }) => ({ hostIp: HostIp, hostPort: HostPort }))
        .sort(
          (a, b) =>
            Number(a.hostIp.includes(":")) - Number(b.hostIp.includes(":")) ||
            Number(a.hostPort) - Number(b.hostPort) ||
            compare(a.hostIp, b.hostIp),
        );
      const [first] = bindings;
      return {
        ...own,
        port,
        proto,
        hostPort: first?.hostPort ?? "",
        hostIp: first?.hostIp ?? "",
        bindings,
      };
    })
    .sort((a, b) => Number(a.port) - Number(b.port) || compare(a.proto, b.proto));
}
