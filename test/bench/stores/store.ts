/** One record, as far as the bench cares. */
export interface BareRecord {
  readonly service: string;
  /** Unique in the store, and made of `[a-z0-9-]`. */
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** The HTTP host, for records that are to be rendered. */
  readonly host?: string;
}

/** What names a record. */
export type BareRef = Pick<BareRecord, "service" | "id">;

/**
 * A store through its client library and nothing around it: what one would write who needs it once. Records
 * stand where the product has them, so that both can be watched alike.
 */
export interface BareStore {
  /** Creates or replaces a record in as few calls as the store needs. */
  put(record: BareRecord): Promise<void>;
  /** Creates many at once, in the fastest way that the store has. They outlive this client where that is possible. */
  fill(records: readonly BareRecord[]): Promise<void>;
  /** Reads every record, and tells how many there are. */
  count(): Promise<number>;
  remove(ref: BareRef): Promise<void>;
  /**
   * Calls `seen` with the record's port each time that it was read after a change, with undefined when it is
   * gone. Resolves when no change can be missed any more; the first call may tell what was there.
   */
  watch(ref: BareRef, seen: (port: number | undefined) => void): Promise<void>;
  close(): Promise<void>;
}

/** The record as the product reads it from stores of text. */
export function recordText({ service, id, address, port, host }: BareRecord): string {
  return JSON.stringify({
    id,
    service,
    address,
    port,
    protocol: "tcp",
    tags: [],
    meta: host === undefined ? {} : { http_host: host },
    weight: 1,
    state: "ready",
    node: "bare",
  });
}

/** The port in such a text. */
export function portIn(text: string): number {
  return (JSON.parse(text) as { port: number }).port;
}

/** Does the work for all items, so many at once. */
export async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const open = items.values();
  const hand = async () => {
    for (const item of open) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, hand));
}
