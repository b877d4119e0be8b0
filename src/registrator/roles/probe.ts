import type { Finding } from "./standing.ts";

/** Where a server is asked, and as whom. */
export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  /** Ms after which a question has no answer. */
  readonly timeout: number;
  /** Read before each connection, so that a new password needs no restart. */
  credentials(): Credentials;
}

/** As whom a server is asked; what is absent is the server's default. */
export interface Credentials {
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
}

/** Asks one server for its role, over one connection that it keeps and opens again when it was lost. */
export interface Probe {
  /**
   * What the server says now. Rejects with the reason, in words for people, where it says nothing of its role:
   * no connection, no answer in time, no right, or still loading.
   */
  ask(signal: AbortSignal): Promise<Finding>;
  /** Ends the connection without waiting for the server. */
  close(): void;
}
