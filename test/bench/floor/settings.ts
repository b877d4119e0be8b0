import type { BareRef } from "../stores/store.ts";

/** What a bare program is told; each takes what it needs. */
export interface FloorOptions {
  /** The file to create once it works. */
  readonly ready: string;
  /** The store's URL, as the product takes it. */
  readonly store: string;
  /** Docker's socket. */
  readonly docker: string;
  /** The address of the host, at which ports are published. */
  readonly address: string;
  /** The label of the containers that count. */
  readonly label: string;
  /** Begins the names of services and ids, so that they are not the product's. */
  readonly prefix: string;
  /** The record that is watched. */
  readonly watched: BareRef;
  /** The file to write, and what: `@PORT@` stands for the port, `@SERVER@` for the line of the server. */
  readonly destination: string;
  readonly text: string;
  /** A line of a server, with `@PORT@` for its port. */
  readonly line: string;
  readonly haproxy: string;
  /** Who gets the signal. */
  readonly pid: number;
}

/** Ends what a bare program holds. */
export type Close = () => Promise<void>;
