/** Counts messages in the bytes of one direction of one connection, however they were cut. */
export type Messages = (chunk: Buffer) => void;

/** A protocol in which each message begins with a head that tells how long the rest of it is. */
interface Framing {
  /** Bytes of the head. */
  readonly head: number;
  rest(head: Buffer): number;
  counts(head: Buffer): boolean;
}

const framings = {
  /** RFC 9113 §4.1. What is told comes in DATA frames, of 16 KB at most; all others are the protocol's own. */
  http2: {
    head: 9,
    rest: (head) => head.readUIntBE(0, 3),
    counts: (head) => head.readUInt8(3) === 0 && head.readUIntBE(0, 3) > 0,
  },
  /** Answers and events. */
  zookeeper: { head: 4, rest: (head) => head.readInt32BE(0), counts: () => true },
} as const satisfies Readonly<Record<string, Framing>>;

/** Calls `seen` for each message of a connection. */
export function countMessages(protocol: keyof typeof framings, seen: () => void): Messages {
  const { head, rest, counts }: Framing = framings[protocol];
  let begun: Buffer = Buffer.alloc(0);
  let skip = 0;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(skip, chunk.length - at);
      skip -= skipped;
      at += skipped;
      const taken = chunk.subarray(at, at + head - begun.length);
      begun = Buffer.concat([begun, taken]);
      at += taken.length;
      if (begun.length < head) return;
      skip = rest(begun);
      if (counts(begun)) seen();
      begun = Buffer.alloc(0);
    }
  };
}
