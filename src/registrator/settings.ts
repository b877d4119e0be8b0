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
  /** Seconds after which a dead host's records expire. */
  readonly ttlSeconds: number;
  /** Between two full reads of Docker and the backend. */
  readonly resync: number;
  readonly onExit: "keep" | "deregister";
  /** Only containers with this label (and value). */
  readonly select: { readonly label: string; readonly value: string | undefined } | undefined;
  /** Of the labels and variables that are read; usually `SERVICE_`. */
  readonly labelPrefix: string;
}
