// What a fault needs of a backend's real server: to reach it, to end it, and to put things under our keys.
import type { Backend } from "../../src/backends/backend.ts";
import type { TestServer } from "../servers/server.ts";

/** The backends that have a server. */
export type StoreName = "etcd" | "consul" | "consulkv" | "zookeeper";

/** A server that keeps what it has over a restart and takes values of 16 MB, as far as it takes such values at all. */
export interface FaultServer extends TestServer {
  readonly port: number;
  /**
   * Puts what is no record of ours under the keys of a service, as anybody may who can write there, each of at least
   * `size` bytes. Resolves with how many of them are not to be read.
   */
  litter(place: string, service: string, size: number): Promise<number>;
}

/** A server that knows users, and one of them who may read everything below a place. */
export interface GuardedServer extends TestServer {
  /** A connection of somebody who may do anything. */
  openRoot(): Promise<Backend>;
  openReader(): Promise<Backend>;
  /** Takes the reader's rights, or gives them back. */
  revoke(): Promise<void>;
  grant(): Promise<void>;
  /** Gives the reader another password or token, of which its file does not know yet, and then tells the file. */
  change(): Promise<void>;
  tell(): Promise<void>;
}

/** How the servers of one backend are started. */
export interface FaultStore {
  readonly name: StoreName;
  /** Seconds: the shortest time to live that the server grants. */
  readonly ttl: number;
  /** A connection to the place of this name, through a port of this machine. */
  open(port: number, place: string): Promise<Backend>;
  start(): Promise<FaultServer>;
  startGuarded(): Promise<GuardedServer>;
}
