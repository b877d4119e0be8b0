// Counting what a client asks for, from the bytes it sends: one meter per connection, fed chunk by chunk.

/** Takes the next bytes of a connection, however they were cut. */
export type Meter = (chunk: Buffer) => void;

/** What a client asked of an HTTP/1 server. */
export interface HttpRequestLine {
  readonly method: string;
  /** The request target as sent, query included. */
  readonly path: string;
}

/** Protocols whose client side can be counted. "http2" is also gRPC. */
export type Protocol = "http" | "http2" | "zookeeper";

/** Where meters write what they see. */
export interface Tally {
  readonly requests: HttpRequestLine[];
  /** Client frames by name: HTTP/2 frame types, or ZooKeeper operations. */
  readonly frames: Map<string, number>;
}

/** A meter for one new connection. */
export function createMeter(protocol: Protocol, tally: Tally): Meter {
  if (protocol === "http") return httpMeter((request) => tally.requests.push(request));
  const count = (name: string): void => void tally.frames.set(name, (tally.frames.get(name) ?? 0) + 1);
  return protocol === "http2" ? http2Meter(count) : zookeeperMeter(count);
}

/**
 * Feeds `step` with all bytes that are not yet used. It returns how many it used up; more than there are skips
 * bytes to come, 0 waits for more, and "stop" ends the metering.
 */
function meter(step: (bytes: Buffer) => number | "stop"): Meter {
  let bytes: Buffer = Buffer.alloc(0);
  let skip = 0;
  let stopped = false;
  return (chunk) => {
    if (stopped) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    for (;;) {
      const skipped = Math.min(skip, bytes.length);
      bytes = bytes.subarray(skipped);
      skip -= skipped;
      if (bytes.length === 0) return;
      const used = step(bytes);
      if (used === 0) return;
      if (used === "stop") {
        stopped = true;
        bytes = Buffer.alloc(0);
        return;
      }
      skip = used;
    }
  };
}

/** Request lines of HTTP/1.1 (RFC 9112): keep-alive, bodies by length and in chunks; ends at an upgrade. */
function httpMeter(seen: (request: HttpRequestLine) => void): Meter {
  let inChunks = false;
  return meter((bytes) => {
    if (inChunks) {
      const end = bytes.indexOf("\r\n");
      if (end < 0) return 0;
      const size = Number.parseInt(bytes.toString("latin1", 0, end), 16);
      if (Number.isNaN(size)) return "stop";
      if (size > 0) return end + 2 + size + 2;
      const last = bytes.indexOf("\r\n\r\n", end);
      if (last < 0) return 0;
      inChunks = false;
      return last + 4;
    }
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return 0;
    const head = bytes.toString("latin1", 0, end);
    const line = /^(?<method>[A-Z]+) (?<path>\S+) HTTP\/1\.[01]/.exec(head)?.groups;
    if (line === undefined) return "stop";
    seen({ method: line.method ?? "", path: line.path ?? "" });
    if (/^upgrade:/im.test(head)) return "stop";
    inChunks = /^transfer-encoding:.*chunked/im.test(head);
    const length = /^content-length:\s*(?<length>\d+)/im.exec(head)?.groups?.length ?? "0";
    return end + 4 + (inChunks ? 0 : Number(length));
  });
}

const http2Frames = [
  ...["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS"],
  ...["PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"],
] as const;

/** Frames by type (RFC 9113 §4.1). HEADERS is one per call, DATA one or more per message of it. */
function http2Meter(count: (name: string) => void): Meter {
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  let greeted = false;
  return meter((bytes) => {
    if (!greeted) {
      if (bytes.length < preface.length) return 0;
      greeted = bytes.toString("latin1", 0, preface.length) === preface;
      return greeted ? preface.length : "stop";
    }
    if (bytes.length < 9) return 0;
    const type = bytes.readUInt8(3);
    count(http2Frames[type] ?? `type ${type}`);
    return 9 + bytes.readUIntBE(0, 3);
  });
}

/** ZooKeeper's ZooDefs.OpCode. */
const zookeeperOperations: Readonly<Record<number, string>> = {
  1: "create",
  2: "delete",
  3: "exists",
  4: "getData",
  5: "setData",
  6: "getACL",
  7: "setACL",
  8: "getChildren",
  9: "sync",
  11: "ping",
  12: "getChildren2",
  13: "check",
  14: "multi",
  15: "create2",
  18: "removeWatches",
  19: "createContainer",
  20: "deleteContainer",
  21: "createTTL",
  100: "auth",
  101: "setWatches",
  105: "setWatches2",
  106: "addWatch",
  [-11]: "closeSession",
};

/** Operations by name: length, xid and operation are the first three 4-byte numbers; the first frame is "connect". */
function zookeeperMeter(count: (name: string) => void): Meter {
  let connected = false;
  return meter((bytes) => {
    if (bytes.length < 12) return 0;
    const length = bytes.readInt32BE(0);
    if (length < 8 || length > 64 * 1024 * 1024) return "stop"; // a four-letter word
    const operation = bytes.readInt32BE(8);
    count(connected ? (zookeeperOperations[operation] ?? `operation ${operation}`) : "connect");
    connected = true;
    return 4 + length;
  });
}
