import { isIP, connect as openSocket, type Socket } from "node:net";
import { connect as openTls } from "node:tls";
import {
  ACL,
  CreateMode,
  createClient,
  type Event,
  Exception,
  Id,
  Permission,
  type Stat,
} from "node-zookeeper-client";
import { after } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import { callLimit } from "../limited.ts";
import { overdue, wayOutOf } from "../way-out.ts";
import { createFrames } from "./frames.ts";
import { type Answer, createRequests } from "./requests.ts";
import { rights, rightsOf } from "./rights.ts";

/** What a server needs to give a connection the session of an earlier one. */
export interface Session {
  /** 16 hexadecimal digits, as in the `holder` of its ephemeral nodes. */
  readonly id: string;
  readonly secret: Buffer;
  /** Milliseconds of silence after which it expires, as the server granted them. */
  readonly timeout: number;
}

/** A node as read. */
export interface Znode {
  readonly text: string;
  readonly version: number;
  /** The session whose end removes the node; `nobody` for a persistent one. */
  readonly holder: string;
  /** The transaction that created it, as a decimal number: greater for each that is created later. */
  readonly created: string;
  /** How many nodes are directly below it. */
  readonly children: number;
}

/** Whether a node goes with the session that created it. */
export type Mode = "ephemeral" | "persistent";

/** A part of a transaction. Parents of what is created have to be there. */
export type Step =
  | { readonly create: string; readonly text: string; readonly mode: Mode }
  | { readonly write: string; readonly version: number; readonly text: string }
  | { readonly check: string; readonly version: number }
  | { readonly remove: string; readonly version: number };

/** The `holder` of persistent nodes. */
export const nobody = "0".repeat(16);

/** Called once when what was read has changed. The same function on the same path is called once only. */
export type Watcher = (event: Event) => void;

/**
 * One TCP connection to one server. It never reconnects: whoever needs another one opens it, and reads again
 * what it watches. Outcomes that a caller has to expect are values; calls reject with a coded error, all of
 * them at once as soon as the connection is gone.
 */
export interface Connection {
  readonly session: Session;
  /** Aborts with a coded error when the connection is gone, or its end has begun. */
  readonly gone: AbortSignal;
  /** Creates a node, and its parents where they are missing. False: there is one already. */
  create(path: string, text: string, mode: Mode): Promise<boolean>;
  /** Deletes a node that has this version and creates one in its place, as one. False: it changed. */
  replace(path: string, version: number, text: string, mode: Mode): Promise<boolean>;
  /** Does all of it or, when a node is not as said, nothing. False: nothing. */
  commit(steps: readonly Step[]): Promise<boolean>;
  /** Sets the data whatever the version. Returns the holder, undefined when there is no such node. */
  write(path: string, text: string): Promise<string | undefined>;
  /** Deletes a node; without a version, any. False: it changed or has children. An absent one is fine. */
  remove(path: string, version?: number): Promise<boolean>;
  /** The watcher is left only on a node that exists. */
  read(path: string, watcher?: Watcher): Promise<Znode | undefined>;
  /** Names of the children. The watcher is left only on a node that exists. */
  list(path: string, watcher?: Watcher): Promise<readonly string[] | undefined>;
  /** The watcher is left in any case: it waits for the node to appear, change or go. */
  exists(path: string, watcher?: Watcher): Promise<boolean>;
  /** When it resolves, all that was written anywhere before the call is seen by reads after it. */
  catchUp(): Promise<void>;
  /** Ends the session, and all its ephemeral nodes with it. */
  end(): Promise<void>;
  /** Drops the socket and leaves the session to its timeout. */
  drop(error: PortolanError): void;
}

/** What TLS is spoken with. Without an authority those count that Node.js knows. */
export interface ConnectionTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** How to connect. */
export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Speak TLS: PEM texts of the authority that signed the server's certificate, and of our own certificate. */
  readonly tls?: ConnectionTls | undefined;
  /** "user:password" of the digest scheme; what is created is then writable by this user only. */
  readonly digest?: string | undefined;
  /** Whether the digest is another one by now: asked where a right is refused, and then the connection is dropped. */
  readonly isOutdated?: (() => Promise<boolean>) | undefined;
  /** Milliseconds to ask for; the server clamps them. */
  readonly timeout: number;
  /** Milliseconds within which the server must have answered the handshake. */
  readonly limit: number;
  /** Continues this session instead of taking a new one; LEASE_LOST when it has expired. */
  readonly session?: Session | undefined;
  /** Asks something when it would be idle for a third of the timeout, so that a dead peer is noticed. */
  readonly keepAlive: boolean;
  /** Drops the connection when aborted. */
  readonly signal: AbortSignal;
}

/**
 * What is used of the package beside its public face. The package keeps reading from a peer that is silent
 * for ever, reconnects with half a packet of the old connection in its buffer, queues requests that nobody
 * ever answers after an expired session, and throws out of a socket event at an error code that it does not
 * know (node-zookeeper-client#38, #57). So it gets a socket that we open, watch and drop, is fed under `try`,
 * and lives for one connection. That also takes IPv6 addresses, which its connect string cannot hold.
 */
interface Internals {
  state: number;
  socket: Socket;
  onSocketConnected(): void;
  onSocketData(chunk: Buffer): void;
  onSocketDrain(): void;
}
const stateConnecting = 1;

/** Opens a connection. Rejects with BACKEND_UNREACHABLE, BACKEND_DENIED, LEASE_LOST or the signal's reason. */
export function connect(options: ConnectionOptions): Promise<Connection> {
  const { host, port, session: resumed, signal } = options;
  const place = `ZooKeeper ${host.includes(":") ? `[${host}]` : host}:${port}`;
  const unreachable = (what: string, cause?: unknown) =>
    new PortolanError("BACKEND_UNREACHABLE", `${place}: ${what}`, { cause });

  const client = createClient("given-by-us", {
    sessionTimeout: options.timeout,
    ...(resumed && { sessionId: Buffer.from(resumed.id, "hex"), sessionPassword: resumed.secret }),
  });
  if (options.digest !== undefined) client.addAuthInfo("digest", Buffer.from(options.digest));
  const acl =
    options.digest === undefined
      ? [new ACL(Permission.ALL, new Id("world", "anyone"))]
      : [new ACL(Permission.ALL, new Id("auth", "")), new ACL(Permission.READ, new Id("world", "anyone"))];
  const { connectionManager: internals } = client as unknown as { readonly connectionManager: Internals };

  const gone = new AbortController();
  const requests = createRequests();
  let ending = false;
  let dropped = false;

  const drop = (error: PortolanError) => {
    if (dropped) return;
    dropped = true;
    cancelLimit();
    signal.removeEventListener("abort", dropBySignal);
    socket.destroy();
    gone.abort(error);
    requests.fail(error);
  };
  const dropBySignal = () => drop(aborted());
  const cancelLimit = after(options.limit, () =>
    drop(unreachable(`no answer within ${Math.round(options.limit)} ms${overdue}`)),
  );

  /**
   * Sends one request. `expected` turns an error code into an outcome; `needed` are the rights that it takes, for
   * the error when they are refused.
   */
  const ask = async <T>(
    send: (answer: Answer<T>) => void,
    expected: (code: number) => { readonly outcome: T } | undefined = () => undefined,
    needed?: () => string,
  ): Promise<T> => {
    try {
      return await requests.ask(send);
    } catch (error) {
      const known = error instanceof Exception ? expected(error.code) : undefined;
      if (known) return known.outcome;
      const refused = refusal(error, needed);
      if (refused.code === "BACKEND_DENIED" && (await options.isOutdated?.())) {
        const changed = unreachable("the password was changed; connecting with the new one", error);
        drop(changed);
        throw changed;
      }
      throw refused;
    }
  };

  const refusal = (error: unknown, needed?: () => string) => {
    if (error instanceof PortolanError) return error;
    const code = error instanceof Exception ? error.code : undefined;
    const as = (name: PortolanError["code"], what: string) =>
      new PortolanError(name, `${place}: ${what}`, { cause: error });
    const message = error instanceof Error ? error.message : String(error);
    if (code === Exception.NO_AUTH || code === Exception.AUTH_FAILED || code === Exception.INVALID_ACL) {
      const wayOut = needed
        ? `: the user needs ${needed()}; \`portolan acl zookeeper\` prints the access lists`
        : "";
      return as("BACKEND_DENIED", `no right to do this (${message})${wayOut}`);
    }
    if (code === Exception.SESSION_EXPIRED) {
      const lost = as("LEASE_LOST", "the session has expired; renew the lease");
      drop(lost);
      return lost;
    }
    // The package asserts its arguments, the size limit of 1 MB among them.
    return as("FAILED", message);
  };

  const connection: Omit<Connection, "session"> = {
    gone: gone.signal,

    async create(path, text, mode) {
      for (;;) {
        const created = await ask<"created" | "exists" | "orphan">(
          (answer) => {
            client.create(path, Buffer.from(text), acl, kindOf(mode), (error) => answer(error, "created"));
          },
          outcomes({ [Exception.NODE_EXISTS]: "exists", [Exception.NO_NODE]: "orphan" }),
          () => rights.create(path),
        );
        if (created !== "orphan") return created === "created";
        // From below, because the parents further up may not be ours to write.
        await connection.create(path.slice(0, path.lastIndexOf("/")), "", "persistent");
      }
    },

    replace: (path, version, text, mode) =>
      connection.commit([
        { remove: path, version },
        { create: path, text, mode },
      ]),

    commit: (steps) =>
      ask<boolean>(
        (answer) => {
          const transaction = client.transaction();
          for (const step of steps) {
            if ("create" in step) {
              transaction.create(step.create, Buffer.from(step.text), acl, kindOf(step.mode));
            } else if ("check" in step) {
              transaction.check(step.check, exactly(step.version));
            } else if ("write" in step) {
              transaction.setData(step.write, Buffer.from(step.text), exactly(step.version));
            } else {
              transaction.remove(step.remove, exactly(step.version));
            }
          }
          transaction.commit((error) => answer(error, true));
        },
        outcomes({
          [Exception.BAD_VERSION]: false,
          [Exception.NO_NODE]: false,
          [Exception.NODE_EXISTS]: false,
          [Exception.RUNTIME_INCONSISTENCY]: false,
        }),
        () => rightsOf(steps),
      ),

    write: (path, text) =>
      ask<string | undefined>(
        (answer) =>
          client.setData(path, Buffer.from(text), (error, stat) =>
            answer(error, error ? "" : holderOf(stat)),
          ),
        outcomes({ [Exception.NO_NODE]: undefined }),
        () => rights.write(path),
      ),

    remove: (path, version = -1) =>
      ask<boolean>(
        (answer) => client.remove(path, version, (error) => answer(error, true)),
        outcomes({
          [Exception.NO_NODE]: true,
          [Exception.BAD_VERSION]: false,
          [Exception.NOT_EMPTY]: false,
        }),
        () => rights.remove(path),
      ),

    read: (path, watcher) =>
      ask<Znode | undefined>(
        (answer) => {
          const done = (error: Error | Exception | null, data: Buffer | undefined, stat: Stat) =>
            answer(error, error ? undefined : znodeOf(data, stat));
          if (watcher) client.getData(path, watcher, done);
          else client.getData(path, done);
        },
        outcomes({ [Exception.NO_NODE]: undefined }),
        () => rights.read(path),
      ),

    list: (path, watcher) =>
      ask<readonly string[] | undefined>(
        (answer) => {
          const done = (error: Error | Exception | null, names: string[] | undefined) =>
            answer(error, names ?? []);
          if (watcher) client.getChildren(path, watcher, done);
          else client.getChildren(path, done);
        },
        outcomes({ [Exception.NO_NODE]: undefined }),
        () => rights.read(path),
      ),

    exists: (path, watcher) =>
      ask<boolean>((answer) => {
        const done = (error: Error | Exception | null, stat: Stat | null) => answer(error, stat !== null);
        if (watcher) client.exists(path, watcher, done);
        else client.exists(path, done);
      }),

    // The package lacks the sync operation. A transaction goes through the leader as a write does, also one
    // that only looks, and whatever it answers: this server is then as new as the leader was.
    catchUp: () =>
      ask<void>(
        (answer) =>
          client
            .transaction()
            .check("/")
            .commit((error) => answer(error, undefined)),
        () => ({ outcome: undefined }),
      ),

    async end() {
      ending = true;
      // From here on nothing more can be asked.
      gone.abort(aborted());
      try {
        // The answer is that the server closes the connection.
        await requests.ask<never>(() => client.close());
      } catch (error) {
        if (!(error instanceof PortolanError && error.code === "ABORTED")) throw refusal(error);
      }
    },

    drop,
  };

  // The name is resolved for each connection: a server may have moved.
  const socket: Socket = options.tls
    ? openTls({ ...options.tls, host, port, ...(isIP(host) === 0 && { servername: host }) }).setNoDelay()
    : openSocket({ host, port, noDelay: true });
  return new Promise<Connection>((resolve, reject) => {
    gone.signal.addEventListener("abort", () => reject(gone.signal.reason), { once: true });
    if (signal.aborted) return drop(aborted());
    signal.addEventListener("abort", dropBySignal, { once: true });

    const guarded = (work: () => void) => {
      try {
        work();
      } catch (error) {
        const why = error instanceof PortolanError ? error.message : "an answer was not understood";
        drop(unreachable(why, error));
      }
    };
    internals.socket = socket;
    internals.state = stateConnecting;
    socket.on(options.tls ? "secureConnect" : "connect", () => guarded(() => internals.onSocketConnected()));
    socket.on("drain", () => guarded(() => internals.onSocketDrain()));
    const receive = createFrames((frame) => internals.onSocketData(frame));
    socket.on("data", (chunk: Buffer) => {
      requests.heard();
      guarded(() => receive(chunk));
      // The package would ping by itself after a third of the timeout, wanted or not.
      socket.setTimeout(0);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // A name with several addresses fails with a list of errors and no message.
      const words = error.message || error.code || "the connection failed";
      drop(unreachable(`${words}${wayOutOf(words, "ZooKeeper")}`, error));
    });
    socket.on("close", () => drop(ending ? aborted() : unreachable("the server closed the connection")));

    client.once("connected", () => {
      cancelLimit();
      const timeout = client.getSessionTimeout();
      requests.watch(
        { silence: Math.min(callLimit, timeout / 3), answer: callLimit },
        (why) => drop(unreachable(`${why}${overdue}`)),
        options.keepAlive ? () => void connection.exists("/").catch(() => {}) : undefined,
      );
      const session = {
        id: client.getSessionId().toString("hex"),
        secret: client.getSessionPassword(),
        timeout,
      };
      resolve({ session, ...connection });
    });
    client.once("expired", () => {
      drop(new PortolanError("LEASE_LOST", `${place}: the session has expired; renew the lease`));
    });
    client.once("authenticationFailed", () => {
      drop(new PortolanError("BACKEND_DENIED", `${place}: the credentials were refused`));
    });
  });
}

/** The reason of a connection that was closed on purpose. */
export function aborted(): PortolanError {
  return new PortolanError("ABORTED", "the connection was closed");
}

/** Whether we ended a connection, or its session, on purpose. */
export function isEnded({ gone }: Connection): boolean {
  return gone.aborted && gone.reason instanceof PortolanError && gone.reason.code === "ABORTED";
}

const kindOf = (mode: Mode) => (mode === "ephemeral" ? CreateMode.EPHEMERAL : CreateMode.PERSISTENT);

/**
 * A version in a transaction. The package takes 0 for "any"; the smallest number beside it is sent as the
 * integer 0.
 */
const exactly = (version: number) => version || Number.MIN_VALUE;

const holderOf = (stat: Stat) => stat.ephemeralOwner.toString("hex");

/** A node in our own words. The package declares its long numbers as they come, in bytes. */
function znodeOf(data: Buffer | undefined, stat: Stat): Znode {
  return {
    text: data?.toString("utf8") ?? "",
    version: stat.version,
    holder: holderOf(stat),
    created: BigInt(`0x${stat.czxid.toString("hex")}`).toString(),
    children: stat.numChildren,
  };
}

function outcomes<T>(table: Readonly<Record<number, T>>) {
  return (code: number): { readonly outcome: T } | undefined =>
    code in table ? { outcome: table[code] as T } : undefined;
}
