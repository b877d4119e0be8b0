import type { ProbeLogins } from "./roles/credentials.ts";
import type { PromotionCommand } from "./roles/promotion-command.ts";
import type { Pace } from "./roles/watch.ts";

/** How servers are asked for their role, and as whom. */
export interface ProbeSettings extends Pace {
  readonly logins: ProbeLogins;
}

/** What an operator decides about a registrator. Times are in ms unless the name says seconds. */
export interface RegistratorSettings {
  /** Name of this host in ids and records; undefined: Docker's own host name. */
  readonly node: string | undefined;
  /** `--ip`: an address, `interface:NAME`, `cidr:NET` or `env:VAR`; undefined: the default route's address. */
  readonly ip: string | undefined;
  /** Register container addresses and ports instead of published ones. */
  readonly internal: boolean;
  /** The Docker network whose address `internal` takes. */
  readonly network: string | undefined;
  /** Register only ports that have a name. */
  readonly explicit: boolean;
  /** Appended to the tags of every instance. */
  readonly tags: readonly string[];
  /** Handlebars that gives the name of each instance instead of the rules; undefined: the rules. */
  readonly name: string | undefined;
  /** The container's label that holds its address. */
  readonly useIpFromLabel: string | undefined;
  /** Whose records go when their container ends; the others stay as `unhealthy` until it is removed. */
  readonly deregister: "always" | "on-success" | "never";
  /** Register nothing that is starting or unhealthy. */
  readonly requireHealthy: boolean;
  /** Names, ids, tags, addresses and exit rules as of gliderlabs/registrator. */
  readonly compat: "registrator" | undefined;
  /** Take over what gliderlabs/registrator left in the backend for this host. */
  readonly adopt: boolean;
  /** Checks by script may be registered: whoever starts a container runs commands on the Consul agent. */
  readonly allowCheckScripts: boolean;
  /** How the roles of servers are found out. */
  readonly probes: ProbeSettings;
  /** What is run for the winner of an election before it is published as master. */
  readonly onPromote: PromotionCommand | undefined;
  /** Seconds after which a dead host's records expire. */
  readonly ttlSeconds: number;
  /** Between two full reads of Docker and the backend. */
  readonly resync: number;
  readonly onExit: "keep" | "deregister" | "drain";
  /** Only containers with this label (and value). */
  readonly select: { readonly label: string; readonly value: string | undefined } | undefined;
  /** Of the labels and variables that are read; usually `SERVICE_`. */
  readonly labelPrefix: string;
}
