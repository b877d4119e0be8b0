import type { Source } from "./source.ts";

/**
 * A container of this host's Docker, as templates see it: all that docker-gen tells of one. Unlike what the
 * registrator keeps, it holds the whole environment, and with it secrets: it goes to templates and nowhere else.
 * Addresses are empty texts where there is none.
 */
export interface LocalContainer {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** ISO 8601. */
  readonly created: string;
  readonly hostname: string;
  /** `bridge`, `host`, `none`, `container:<id>`, or the name of a network. */
  readonly networkMode: string;
  readonly image: LocalImage;
  readonly labels: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** Every exposed or published port, by number and protocol. */
  readonly addresses: readonly LocalAddress[];
  /** By name. */
  readonly networks: readonly LocalNetwork[];
  /** On Docker's default bridge, else on its only network; empty where it has several. So are the next ones. */
  readonly ip: string;
  readonly ip6Global: string;
  readonly gateway: string;
  /** On the default bridge. */
  readonly ip6LinkLocal: string;
  /** By the place in the container. */
  readonly mounts: readonly LocalMount[];
  /** The same by the place in the container. */
  readonly volumes: Readonly<Record<string, LocalVolume>>;
  readonly devices: readonly { readonly pathOnHost: string; readonly pathInContainer: string }[];
  readonly state: LocalState;
}

/** An image as it was given to `docker run`, taken apart. What was not given is the empty text. */
export interface LocalImage {
  /** As it was given. */
  readonly name: string;
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** A port of a container. */
export interface LocalAddress {
  readonly ip: string;
  readonly ip6LinkLocal: string;
  readonly ip6Global: string;
  /** Inside the container. A text, as in Docker. */
  readonly port: string;
  /** `tcp`, `udp` or `sctp`. */
  readonly proto: string;
  /** Of the first binding; empty where the port is not published. */
  readonly hostPort: string;
  readonly hostIp: string;
  /** Every binding, IPv4 first, then by port. */
  readonly bindings: readonly { readonly hostIp: string; readonly hostPort: string }[];
}

/** A container's end on a network. */
export interface LocalNetwork {
  readonly name: string;
  readonly ip: string;
  readonly ipPrefixLen: number;
  readonly gateway: string;
  readonly globalIpv6Address: string;
  readonly globalIpv6PrefixLen: number;
  readonly ipv6Gateway: string;
  readonly macAddress: string;
  readonly aliases: readonly string[];
  readonly endpointId: string;
  /** The network leads nowhere else. Absent where Docker does not let its networks be read. */
  readonly internal?: boolean;
}

/** Something of the host, or a volume, that the container sees. */
export interface LocalMount {
  /** `bind`, `volume`, `tmpfs` … */
  readonly type: string;
  /** Of a volume, else empty. */
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  readonly driver: string;
  readonly mode: string;
  readonly rw: boolean;
}

/** A mount, as docker-gen's `Volumes` has it. */
export interface LocalVolume {
  readonly path: string;
  readonly hostPath: string;
  readonly readWrite: boolean;
}

/** What a container does. */
export interface LocalState {
  /** Docker's word: `running`, `paused`, `restarting`, `created`, `exited`, `removing` or `dead`. */
  readonly status: string;
  readonly running: boolean;
  /** `starting`, `healthy` or `unhealthy`; empty without a health check. */
  readonly health: { readonly status: string };
  /** Of the last process; 0 while none has ended. */
  readonly exitCode: number;
}

/** The containers of this host at one moment, by name. */
export interface LocalContainers {
  readonly containers: readonly LocalContainer[];
  /** False: only those with a process, be it paused. */
  readonly all: boolean;
}

/** The containers of this host, while somebody reads them. Unknown before the first full list that was wanted. */
export interface LocalContainerSource extends Pick<Source<LocalContainers>, "current" | "subscribe"> {
  /** Which containers are read from now on. `none`, as in the beginning: nothing is kept of any. */
  want(which: "none" | "running" | "all"): void;
}
