// A proxy that breaks connections on purpose, for the faults that a real server cannot be told to make.
import { renameSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createLane, type Lane, type LaneRules } from "./lane.ts";
import { createMeter, type HttpRequestLine, type Protocol, type Tally } from "./meters.ts";
import { freePort } from "./ports.ts";

export type { HttpRequestLine, Protocol } from "./meters.ts";

/** A TCP address (on 127.0.0.1 unless said otherwise), or a Unix socket. */
export type Endpoint = { readonly port: number; readonly host?: string } | { readonly path: string };

/** Which way a fault applies. */
export type Direction = "toServer" | "toClient" | "both";

/** What a proxy stands in front of, and what it counts. */
export interface ProxyOptions {
  readonly upstream: Endpoint;
  /** Where it listens (default: a free port of 127.0.0.1). */
  readonly listen?: Endpoint;
  /** Also counts what clients ask, by this protocol. */
  readonly protocol?: Protocol;
  /** Sees each chunk when it arrives, also those that are then held or dropped. `connection` counts from 1. */
  readonly onChunk?: (direction: "toServer" | "toClient", chunk: Buffer, connection: number) => void;
}

/** What went through since the start or the last `resetCounts`. */
export interface Counts {
  /** Accepted connections. */
  readonly connections: number;
  /** Connections open now. */
  readonly open: number;
  /** Bytes that arrived, whatever was done to them. */
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  /** With protocol "http": what clients asked, in order of arrival. */
  readonly requests: readonly HttpRequestLine[];
  /** With "http2" or "zookeeper": client frames by name, for example HEADERS, or setData. */
  readonly frames: Readonly<Record<string, number>>;
}

/** A fault-injecting proxy. It starts in `pass`. */
export interface FaultProxy {
  /** "" when it listens on a Unix socket. */
  readonly host: string;
  /** 0 when it listens on a Unix socket. */
  readonly port: number;
  /** "" when it listens on a port. */
  readonly path: string;
  /** http://HOST:PORT, or unix://PATH. */
  readonly url: string;
  /** Everything goes on; what was held is delivered. Connections that lost bytes to `drop` are reset. */
  pass(): Promise<void>;
  /** A partition that heals: nothing gets through, nothing is lost. New connections are accepted and wait. */
  hold(direction?: Direction): void;
  /** A half-open connection: bytes and ends are swallowed, and nobody is told. New connections are accepted. */
  drop(direction?: Direction): void;
  /** The server is gone: open connections are reset, new ones are refused until `pass`. */
  refuse(): void;
  /** Every chunk comes `ms` later, in order; 0 takes it back. Applies to `pass`. */
  latency(ms: number, direction?: Direction): void;
  /** Each connection carries so many bytes a second, one by one where they are few; `Infinity` takes it back. Applies to `pass`. */
  throttle(bytesPerSecond: number, direction?: Direction): void;
  /**
   * A firewall that restarted: what is open now is half-open from here on, as by `drop`, until `pass` resets it. New
   * connections work.
   */
  forget(): void;
  /** Resets (TCP RST) all open connections; what happens to new ones does not change. */
  cut(): void;
  /** Lets `bytes` (at least 1) more bytes go to clients, all connections together, and then does that: a response ends in its middle. */
  after(bytes: number, then: "cut" | "hold" | "drop" | "refuse"): void;
  counts(): Counts;
  resetCounts(): void;
  /** Ends it and every connection. */
  stop(): Promise<void>;
}

/** One proxied connection. */
interface Link {
  /** Counts from 1. */
  readonly number: number;
  readonly client: Socket;
  upstream: Socket | undefined;
  isForgotten: boolean;
  readonly lanes: Lane[];
}

/** Starts a proxy; it listens when the promise resolves. */
export async function startFaultProxy(options: ProxyOptions): Promise<FaultProxy> {
  const listen = options.listen ?? { port: await freePort() };
  const rules = {
    toServer: { traffic: "pass", latency: 0, rate: Infinity } as LaneRules,
    toClient: { traffic: "pass", latency: 0, rate: Infinity } as LaneRules,
    forgotten: { traffic: "drop", latency: 0, rate: Infinity } as LaneRules,
  };
  const tally = { requests: [] as HttpRequestLine[], frames: new Map<string, number>() } satisfies Tally;
  const sums = { connections: 0, toServer: 0, toClient: 0 };
  const links = new Set<Link>();
  let accepted = 0;
  let fuse: { left: number; readonly blow: () => void } | undefined;

  const end = (link: Link): void => {
    if (!links.delete(link)) return;
    for (const lane of link.lanes) lane.close();
    for (const socket of [link.client, link.upstream]) if (socket !== undefined) reset(socket);
  };
  const endWhenClosed = (link: Link): void => {
    if (link.client.closed && link.upstream?.closed !== false) end(link);
  };

  const pump = (link: Link): void => {
    if (link.upstream === undefined && rules.toServer.traffic === "pass") callUpstream(link);
    for (const lane of link.lanes) lane.pump();
  };

  const callUpstream = (link: Link): void => {
    const upstream = connect({ ...withHost(options.upstream), allowHalfOpen: true });
    link.upstream = upstream;
    upstream.on("connect", () => pump(link));
    upstream.on("close", (failed) => failed || endWhenClosed(link));
    link.lanes.push(
      createLane({
        from: upstream,
        to: () => link.client,
        rules: () => (link.isForgotten ? rules.forgotten : rules.toClient),
        seen: observer("toClient", link.number),
        allowance: burn,
        reset: () => end(link),
      }),
    );
  };

  const observer = (direction: "toServer" | "toClient", connection: number) => (bytes: Buffer) => {
    sums[direction] += bytes.length;
    options.onChunk?.(direction, bytes, connection);
  };

  const burn = (size: number): number => {
    if (fuse === undefined) return size;
    const allowed = Math.min(size, fuse.left);
    fuse.left -= allowed;
    // Later: a client that finds a reset right behind the bytes takes it for an end (libuv does).
    if (allowed > 0 && fuse.left === 0) setTimeout(fuse.blow, 10);
    return allowed;
  };

  const accept = (client: Socket): void => {
    accepted += 1;
    sums.connections += 1;
    const link: Link = { number: accepted, client, upstream: undefined, isForgotten: false, lanes: [] };
    const observe = observer("toServer", accepted);
    const measure = options.protocol === undefined ? undefined : createMeter(options.protocol, tally);
    links.add(link);
    client.on("close", (failed) => failed || endWhenClosed(link));
    link.lanes.push(
      createLane({
        from: client,
        // Also once it has ended its own half: it waits for our end.
        to: () => (/^(open|writeOnly)$/.test(link.upstream?.readyState ?? "") ? link.upstream : undefined),
        rules: () => (link.isForgotten ? rules.forgotten : rules.toServer),
        seen: (bytes) => {
          observe(bytes);
          measure?.(bytes);
        },
        allowance: (size) => size,
        reset: () => end(link),
      }),
    );
    pump(link);
  };

  const door = createDoor(withHost(listen), accept);
  await door.open();

  const set = (traffic: LaneRules["traffic"], direction: Direction): void => {
    for (const one of both(direction)) rules[one].traffic = traffic;
    for (const link of links) pump(link);
  };
  const proxy: FaultProxy = {
    ...addressOf(listen),
    pass: async () => {
      fuse = undefined;
      for (const link of links) if (link.isForgotten || link.lanes.some((lane) => lane.isTorn())) end(link);
      set("pass", "both");
      await door.open();
    },
    hold: (direction = "both") => set("hold", direction),
    drop: (direction = "both") => set("drop", direction),
    refuse: () => {
      door.close();
      proxy.cut();
    },
    latency: (ms, direction = "both") => {
      for (const one of both(direction)) rules[one].latency = ms;
    },
    throttle: (bytesPerSecond, direction = "both") => {
      for (const one of both(direction)) rules[one].rate = bytesPerSecond;
      for (const link of links) pump(link);
    },
    forget: () => {
      for (const link of links) {
        link.isForgotten = true;
        pump(link);
      }
    },
    cut: () => {
      for (const link of links) end(link);
    },
    after: (bytes, then) => {
      const mine = {
        left: bytes,
        blow: () => {
          if (fuse !== mine) return; // taken back meanwhile
          fuse = undefined;
          proxy[then]();
        },
      };
      fuse = mine;
    },
    counts: () => ({
      connections: sums.connections,
      open: links.size,
      bytesToServer: sums.toServer,
      bytesToClient: sums.toClient,
      requests: [...tally.requests],
      frames: Object.fromEntries(tally.frames),
    }),
    resetCounts: () => {
      Object.assign(sums, { connections: 0, toServer: 0, toClient: 0 });
      tally.requests.length = 0;
      tally.frames.clear();
    },
    stop: async () => {
      proxy.refuse();
      if ("path" in listen) rmSync(listen.path, { force: true });
    },
  };
  return proxy;
}

const both = (direction: Direction): readonly ("toServer" | "toClient")[] =>
  direction === "both" ? ["toServer", "toClient"] : [direction];

const withHost = (endpoint: Endpoint): Endpoint =>
  "path" in endpoint ? endpoint : { host: "127.0.0.1", ...endpoint };

function addressOf(endpoint: Endpoint): Pick<FaultProxy, "host" | "port" | "path" | "url"> {
  if ("path" in endpoint) return { host: "", port: 0, path: endpoint.path, url: `unix://${endpoint.path}` };
  const { host = "127.0.0.1", port } = endpoint;
  return { host, port, path: "", url: `http://${host}:${port}` };
}

/**
 * Ends a connection at once: with RST on TCP; a Unix socket has none, and its peer sees the end or EPIPE.
 * Node's own resetAndDestroy says FIN first when bytes are on their way, which is a proper end to the peer; so it
 * is told what that function tells itself, and destroyed.
 */
function reset(socket: Socket): void {
  if (socket.remoteAddress !== undefined) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}

/** A listener that can be closed and opened again at the same address; a closed one refuses connections. */
function createDoor(
  at: Endpoint,
  accept: (client: Socket) => void,
): { open(): Promise<void>; close(): void } {
  let server: Server | undefined;
  return {
    open: async () => {
      if (server !== undefined) return;
      const opening = createServer({ allowHalfOpen: true }, accept);
      server = opening;
      if ("path" in at) rmSync(at.path, { force: true });
      await new Promise<void>((resolve, reject) => {
        opening.once("error", reject);
        opening.listen({ ...at }, resolve);
      });
    },
    close: () => {
      const closing = server;
      server = undefined;
      if (closing === undefined) return;
      if (!("path" in at)) return void closing.close();
      // Node removes a socket's file with the listener. A dead file refuses, as after a crash; none would be ENOENT.
      const aside = `${at.path}.closed`;
      renameSync(at.path, aside);
      closing.close();
      renameSync(aside, at.path);
    },
  };
}
