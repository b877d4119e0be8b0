// What a failover example has to know of a database. Everything else is the same for all of them.
import type { Server } from "../../test/servers/install.ts";
import type { Containers } from "./containers.ts";

/** A kind of database: how it comes into containers, and how a cluster of it lives. */
export interface Store {
  /** As people call it. */
  readonly title: string;
  /** The name of its service, and the kind of probe that finds its master (see docs/roles.md). */
  readonly service: "redis" | "postgres";
  /** The port in its containers. */
  readonly port: number;
  /** Labels of its containers beside those that every example has. */
  readonly labels: Readonly<Record<string, string>>;
  readonly programs: readonly Server[];
  /** Writes a tar archive of an image into a folder; its path. */
  archive(dir: string): Promise<string>;
  /** Starts a master and its slaves, and waits until they are attached. */
  start(containers: Containers): Promise<Cluster>;
}

/** A master and its slaves. */
export interface Cluster {
  /** The containers of its servers. */
  readonly servers: readonly string[];
  /** The address of one of them. */
  addressOf(server: string): string;
  /** Opens a connection, to a server or through a load balancer. Rejects when there is none. */
  connect(host: string, port: number): Promise<Session>;
  /** What makes another server the master, in words: `Sentinel makes it the master`. */
  readonly promotion: string;
  /** SIGKILL. */
  kill(server: string): Promise<void>;
  /** After the master's death: makes another one of them the master, unless somebody watches and does it himself. */
  promote(survivors: readonly string[]): Promise<void>;
  /** Starts a dead master again, as it was: it still believes in itself. */
  revive(server: string): Promise<void>;
  /** What makes a master of before a slave, in words. */
  readonly return: string;
  /** Makes a master of before a slave of the new one, unless somebody does it himself, and waits until all are attached. */
  rejoin(server: string, master: string): Promise<void>;
}

/** A connection to a server. */
export interface Session {
  /** Writes once; the name of the server that took it. Rejects, with `RefusedBySlave` where that is the reason. */
  write(): Promise<string>;
  /** Whether the server believes that it is the master. */
  isMaster(): Promise<boolean>;
  close(): void;
}

/** A write came to a slave, which takes none. */
export class RefusedBySlave extends Error {
  override readonly name = "RefusedBySlave";
}
