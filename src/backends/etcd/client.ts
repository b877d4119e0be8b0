import {
  ClientClosedError,
  castGrpcError,
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCInvalidArgumentError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  type ICompare,
  type IKeyValue,
  type IOptions,
  type IRequestOp,
  type IResponseOp,
  type IWatchResponse,
  isRecoverableError,
} from "etcd3";
import { after, monotonic } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import { answerLimit, callLimit, limited } from "../limited.ts";
import { tooLong, wayOutOf } from "../way-out.ts";
import { rightsBelow, rightsOf } from "./rights.ts";
import { below } from "./txn.ts";

/** Milliseconds for which a host that failed is left out while another one may do. */
const restTime = 10_000;

/** A key with its value, as read. */
export interface EtcdEntry {
  readonly key: string;
  readonly text: string;
  /** The lease it hangs on, "0" when none. */
  readonly lease: string;
  /** The revision of its last write. */
  readonly revision: string;
}

/** One change that a watch tells of; no `text` means that the key is gone. */
export interface EtcdChange {
  readonly key: string;
  readonly text: string | undefined;
  readonly revision: bigint;
}

/** A branch of an answered transaction. */
export interface EtcdAnswer {
  readonly succeeded: boolean;
  /** The store's revision with it. */
  readonly header: { readonly revision: string };
  readonly responses: readonly IResponseOp[];
}

/**
 * The calls that the etcd backend makes. Each one ends within 5 s, or as soon as its signal aborts, and
 * rejects with a coded error: ABORTED, BACKEND_DENIED, BACKEND_UNREACHABLE, or LEASE_LOST for a gone lease.
 */
export interface EtcdClient {
  /** Everything below a prefix, which ends in a slash, or a key alone, and the revision at which it was so. Never answered by a stale member. */
  list(
    prefix: string,
    signal: AbortSignal,
  ): Promise<{ readonly revision: bigint; readonly entries: readonly EtcdEntry[] }>;
  txn(
    compare: readonly ICompare[],
    success: readonly IRequestOp[],
    failure: readonly IRequestOp[],
    signal: AbortSignal,
  ): Promise<EtcdAnswer>;
  /** Takes a lease; the server may grant more seconds than were asked for. */
  grant(ttl: number, signal: AbortSignal): Promise<{ readonly id: string; readonly ttl: number }>;
  /** One heartbeat. Answers the seconds that the lease has now: 0 when it is gone. */
  keepAlive(lease: string, signal: AbortSignal): Promise<number>;
  /** The keys that hang on a lease: none where it is gone. */
  keysOf(lease: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Ends a lease with all that hangs on it; one that is gone already is fine. */
  revoke(lease: string, signal: AbortSignal): Promise<void>;
  /**
   * Calls `changed` with every change below the prefix, or of the key, from revision `from` on, in order, until the watch
   * breaks, which rejects, or the signal aborts, which rejects with the signal's reason. Changes of one
   * revision come in one call; a call without changes tells that there were none up to `revision`.
   */
  watch(
    prefix: string,
    from: bigint,
    changed: (changes: readonly EtcdChange[], revision: bigint) => void,
    signal: AbortSignal,
  ): Promise<never>;
  close(): void;
}

/** What a call is about, for the error when it fails. */
interface About {
  /** The rights that it takes. */
  readonly rights?: () => string;
  /** What it reads. */
  readonly place?: string;
}

type CallOptions = NonNullable<Parameters<Etcd3["kv"]["range"]>[1]>;
type Interceptor = NonNullable<CallOptions["interceptors"]>[number];
/** Where gRPC takes any such call, its types ask for the class. */
type InterceptedCall = ReturnType<Interceptor>;
type Policy = ReturnType<NonNullable<NonNullable<IOptions["faultHandling"]>["host"]>>;

/** Whom the client says it is. */
export interface EtcdUser {
  readonly name: string;
  /** As it was last read. */
  password(): string;
  /** Reads it again. True: it is another one. */
  refresh(): Promise<boolean>;
}

/** How to connect. */
export interface EtcdConnection extends Pick<IOptions, "credentials"> {
  readonly hosts: readonly string[];
  /** Where the authority comes from that has to have signed the server's certificate, for messages. */
  readonly trusted?: string;
  readonly user?: EtcdUser | undefined;
}

/**
 * What is used of etcd3 beside its public face. It forgets a token that the server does not know any more when a
 * plain call is refused, and keeps it when a stream is. And it closes a host's channels whenever a call to it fails: the
 * next call connects at once, because only a channel remembers how long to wait between two tries.
 */
interface Internals {
  readonly pool: {
    readonly authenticator: { invalidateMetadata(): void };
    readonly hosts: readonly { resetAllServices(): void }[];
  };
}

/**
 * A client on etcd3's low-level calls. Its `Watcher` and `Lease` are not used: the watcher swallows why the
 * server cancelled it, resumes at a revision of its own choosing, and throws inside its stream handler when
 * a response meets no watcher; the lease beats by itself and tells of its loss late.
 */
export function createEtcdClient(
  title: string,
  { hosts, credentials, trusted, user }: EtcdConnection,
): EtcdClient {
  const client = new Etcd3({
    ...(credentials && { credentials }),
    ...(user && {
      auth: {
        username: user.name,
        // Asked for at each new token.
        get password() {
          return user.password();
        },
      },
    }),
    hosts: [...hosts],
    grpcOptions: {
      // Notices a connection that went dead without a word. The server ends those that ask more often than
      // every 5 s.
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 3_000,
      // No more than three tries a second. By itself gRPC waits for up to two minutes, in which calls fail without a try.
      "grpc.initial_reconnect_backoff_ms": 350,
      "grpc.max_reconnect_backoff_ms": 800,
      "grpc.max_receive_message_length": answerLimit,
      // The name is resolved again before each new connection, and not after half a minute: a server may have moved.
      "grpc.dns_min_time_between_resolutions_ms": 500,
      // The other backends' clients do not go through a proxy either.
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
    },
    faultHandling: restingHosts(hosts.length),
  });
  const { authenticator, hosts: pooled } = (client as unknown as Internals).pool;
  for (const host of pooled) host.resetAllServices = () => {};
  const fail = (error: unknown, about: About = {}) => translate(title, error, trusted, about);

  /** Whether a call that came to nothing may be tried once more: with another token, or password than it began with. */
  const mended = async (error: unknown, password: string | undefined): Promise<boolean> => {
    if (error instanceof EtcdInvalidAuthTokenError) {
      authenticator.invalidateMetadata();
      return true;
    }
    if (!(error instanceof EtcdAuthenticationFailedError) || user === undefined) return false;
    return (await user.refresh()) || user.password() !== password;
  };

  /** Why the only host could not be connected to, until somebody has waited for that in vain. */
  let away: PortolanError | undefined;

  /**
   * While the only host is known to be away, a call waits for a connection, and so goes on as soon as there is one. Where
   * none came, the next call is an ordinary one, which finds out why.
   */
  const call = <T>(
    signal: AbortSignal,
    start: (options: CallOptions) => Promise<T>,
    about: About = {},
  ): Promise<T> => {
    const known = away;
    let limit: AbortSignal | undefined;
    return limited(
      signal,
      async (over) => {
        limit = over;
        const interceptors = [cancelWith(over), ...(known ? [waitForConnection] : [])];
        let refused = 0;
        for (let attempt = 1; ; attempt += 1) {
          const password = user?.password();
          try {
            const answer = await start({ interceptors });
            away = undefined;
            return answer;
          } catch (error) {
            // First the token is too old, then the password.
            if (refused < 3 && !over.aborted && (await mended(error, password))) {
              refused += 1;
              continue;
            }
            // Another host may answer. A repeated write is harmless: every one is guarded by what it saw.
            const again = error instanceof Error && isRecoverableError(error) && attempt < hosts.length;
            if (!again || over.aborted) throw error;
          }
        }
      },
      (error) => {
        const failure = known && limit?.aborted ? known : fail(error, about);
        away = !known && hosts.length === 1 && isUnconnected(error) ? failure : undefined;
        return failure;
      },
    );
  };

  return {
    async list(prefix, signal) {
      const range = (options: CallOptions) => client.kv.range(below(prefix), options);
      const answer = await call(signal, range, { rights: () => rightsBelow(prefix), place: prefix });
      return { revision: BigInt(answer.header.revision), entries: answer.kvs.map(entryOf) };
    },

    txn: (compare, success, failure, signal) =>
      call(
        signal,
        (options) =>
          client.kv.txn({ compare: [...compare], success: [...success], failure: [...failure] }, options),
        { rights: () => rightsOf([...success, ...failure]) },
      ),

    async grant(ttl, signal) {
      const seconds = Math.max(1, Math.ceil(ttl));
      const answer = await call(signal, (options) =>
        client.leaseClient.leaseGrant({ TTL: seconds }, options),
      );
      if (answer.error) throw fail(new Error(answer.error));
      return { id: answer.ID, ttl: Number(answer.TTL) };
    },

    keepAlive: (lease, signal) =>
      call(signal, async (options) => {
        const stream = await client.leaseClient.leaseKeepAlive(options);
        return new Promise<number>((resolve, reject) => {
          stream.on("data", (answer) => {
            resolve(Number(answer.TTL));
            stream.end();
          });
          stream.on("error", (error) => reject(castGrpcError(error)));
          stream.on("end", () => reject(new Error("the keepalive ended without an answer")));
          stream.write({ ID: lease });
        });
      }),

    async keysOf(lease, signal) {
      const ask = (options: CallOptions) =>
        client.leaseClient.leaseTimeToLive({ ID: lease, keys: true }, options);
      const answer = await call(signal, ask, { rights: () => "read of each key that hangs on the lease" });
      return answer.keys.map((key) => key.toString("utf8"));
    },

    async revoke(lease, signal) {
      try {
        await call(signal, (options) => client.leaseClient.leaseRevoke({ ID: lease }, options), {
          rights: () => "readwrite of each key that hangs on the lease",
        });
      } catch (error) {
        if (!(error instanceof PortolanError && error.code === "LEASE_LOST")) throw error;
      }
    },

    async watch(prefix, from, changed, signal) {
      const over = new AbortController();
      const end = () => over.abort();
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted) end();
      let cancelLimit = () => {};
      try {
        const open = client.watchClient.watch({ interceptors: [cancelWith(over.signal), requireLeader] });
        return await new Promise<never>((_resolve, reject) => {
          over.signal.addEventListener("abort", () => reject(new Error("the watch was ended")));
          if (over.signal.aborted) return reject(new Error("the watch was ended"));
          cancelLimit = after(callLimit, () => reject(new Error("the server did not answer the watch")));
          const take = (response: IWatchResponse) => {
            if (response.canceled) return reject(new Error(whyCancelled(response)));
            if (response.created) return cancelLimit();
            changed(response.events.map(changeOf), BigInt(response.header.revision));
          };
          open.then((stream) => {
            stream.on("data", (response) => {
              try {
                take(response);
              } catch (error) {
                // Thrown further, it would leave the stream's event handler and end the process.
                reject(error);
              }
            });
            stream.on("error", (error) => reject(castGrpcError(error)));
            stream.on("end", () => reject(new Error("the server ended the watch")));
            stream.write({
              create_request: { ...below(prefix), start_revision: String(from), progress_notify: true },
            });
          }, reject);
        });
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw fail(error, { rights: () => rightsBelow(prefix), place: prefix });
      } finally {
        cancelLimit();
        signal.removeEventListener("abort", end);
        end();
      }
    },

    close() {
      for (const host of pooled) Reflect.deleteProperty(host, "resetAllServices");
      client.close();
    },
  };
}

/** A read key in our own words. */
export function entryOf(kv: IKeyValue): EtcdEntry {
  return {
    key: kv.key.toString("utf8"),
    text: kv.value.toString("utf8"),
    lease: kv.lease,
    revision: kv.mod_revision,
  };
}

function changeOf(event: IWatchResponse["events"][number]): EtcdChange {
  return {
    key: event.kv.key.toString("utf8"),
    // etcd3 declares the names in mixed case and delivers the protocol's upper case.
    text: event.type.toUpperCase() === "DELETE" ? undefined : event.kv.value.toString("utf8"),
    revision: BigInt(event.kv.mod_revision),
  };
}

function whyCancelled(response: IWatchResponse): string {
  if (response.compact_revision !== "0") return "the watch fell behind what the server keeps (compaction)";
  return `the server cancelled the watch: ${response.cancel_reason || "it did not say why"}`;
}

/**
 * Cancels the call on the wire once the signal aborts. ABORTED (10) instead of gRPC's CANCELLED keeps etcd3
 * from taking it for a fault of the connection.
 */
function cancelWith(signal: AbortSignal): Interceptor {
  return (options, next) => {
    const call = next(options);
    const cancel = () => call.cancelWithStatus(10, "cancelled");
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      start(metadata, listener);
      if (signal.aborted) queueMicrotask(cancel);
      else signal.addEventListener("abort", cancel, { once: true });
    };
    return call as InterceptedCall;
  };
}

/** Lets a call wait for a connection where it would fail because the last try to make one did. */
const waitForConnection: Interceptor = (options, next) => {
  const call = next(options);
  const start = call.start.bind(call);
  call.start = (metadata, listener) => {
    metadata.setOptions({ waitForReady: true });
    start(metadata, listener);
  };
  return call as InterceptedCall;
};

/** Lets a member that lost the others end the watch, instead of leaving it silent (etcd-io/etcd#12022). */
const requireLeader: Interceptor = (options, next) => {
  const call = next(options);
  const start = call.start.bind(call);
  call.start = (metadata, listener) => {
    metadata.set("hasleader", "true");
    start(metadata, listener);
  };
  return call as InterceptedCall;
};

/**
 * Instead of etcd3's circuit breaker, which goes on refusing for up to 5 s after a server has come back: a
 * host that failed is passed over for a while, but only when there is another one that did not.
 */
function restingHosts(count: number): NonNullable<IOptions["faultHandling"]> {
  const failedAt = new Map<string, number>();
  const resting = (host: string) => monotonic() - (failedAt.get(host) ?? Number.NEGATIVE_INFINITY) < restTime;
  const policy = (execute: Policy["execute"]): Policy => ({
    execute,
    onSuccess: () => ({ dispose() {} }),
    onFailure: () => ({ dispose() {} }),
    // A property that only cockatiel's types know.
    _altReturn: undefined as never,
  });
  return {
    global: policy(async (run) => run({ signal: new AbortController().signal })),
    host: (host) =>
      policy(async (run) => {
        const others = [...failedAt.keys()].filter((other) => other !== host && resting(other)).length;
        if (resting(host) && others < count - 1) throw new Error(`${host} failed a moment ago`);
        try {
          const result = await run({ signal: new AbortController().signal });
          return result;
        } catch (error) {
          if (error instanceof Error && isRecoverableError(error)) failedAt.set(host, monotonic());
          throw error;
        }
      }),
  };
}

function translate(
  title: string,
  error: unknown,
  trusted: string | undefined,
  { rights, place }: About,
): PortolanError {
  if (error instanceof PortolanError) return error;
  const message = plain(error instanceof Error ? error.message : String(error));
  const as = (code: PortolanError["code"], what = message) =>
    new PortolanError(code, `${title}: ${what}`, { cause: error });
  if (error instanceof ClientClosedError) return as("ABORTED", "the connection was closed");
  if (error instanceof EtcdLeaseInvalidError)
    return as("LEASE_LOST", "the lease is gone; it has to be renewed");
  const denied =
    error instanceof EtcdPermissionDeniedError ||
    error instanceof EtcdAuthenticationFailedError ||
    error instanceof EtcdInvalidAuthTokenError ||
    error instanceof GRPCUnauthenticatedError ||
    // The server has users and we sent none (an invalid argument), or it cancelled a watch.
    /user name is empty|permission denied|invalid auth token/i.test(message);
  if (denied && rights !== undefined && /permission denied/i.test(message)) {
    return as(
      "BACKEND_DENIED",
      `${message}: the user needs ${rights()}; \`portolan acl etcd\` prints the roles`,
    );
  }
  if (denied) return as("BACKEND_DENIED");
  const [isTooLong, limit] = /received message larger than max \(\d+ vs\.? (\d+)\)/i.exec(message) ?? [];
  if (limit === String(answerLimit)) {
    return as("BACKEND_UNREACHABLE", tooLong(place ?? "what stands there", answerLimit));
  }
  if (isTooLong || /request is too large/i.test(message)) {
    return as(
      "BACKEND_UNREACHABLE",
      `${message}: shorten the labels, or have the server take more with --max-request-bytes`,
    );
  }
  return as("BACKEND_UNREACHABLE", `${message}${wayOut(message, trusted)}`);
}

/** Whether the server has looked at what a call asks for, and does not do that: of other things it might. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof PortolanError)) return false;
  const { code, cause } = error;
  return (
    code === "BACKEND_DENIED" ||
    cause instanceof GRPCInvalidArgumentError ||
    cause instanceof GRPCResourceExhastedError
  );
}

/** Whether a call was not sent at all. */
function isUnconnected(error: unknown): boolean {
  return error instanceof Error && /No connection established|Name resolution failed for/.test(error.message);
}

/** Of a try to connect that failed before a channel saw it begin gRPC tells that channel nothing but `null`. */
const untold = "no connection: the last try failed";

/** What gRPC says of a failed connection, without its code, its time and its empty "Resolution note:". */
function plain(message: string): string {
  const [, name] = /^\d+ UNAVAILABLE: (Name resolution failed for .*)$/s.exec(message) ?? [];
  const [, cause] =
    /No connection established\. Last error: (?:Error: )?(.*?)(?: \(\d{4}-[^)]*\))?\. Resolution note:/s.exec(
      message,
    ) ?? [];
  if (cause === "null") return untold;
  return name ?? (cause === undefined ? message : `no connection: ${cause}`);
}

/** What to do about a server that is not there, or about one end that does not trust the other. */
function wayOut(message: string, trusted: string | undefined): string {
  if (message === untold) return "; see that etcd serves clients there";
  if (/^no connection: Protocol error/.test(message)) return "; what answers there is no etcd, or speaks TLS";
  if (/altnames/i.test(message)) return "; name the host as its certificate does";
  const general = wayOutOf(message, "etcd");
  if (general !== "" || trusted === undefined) return general;
  if (/self[- ]signed|unable to (verify|get)|certificate signature/i.test(message)) {
    return `; the server's certificate is not signed by ${trusted}: give the right authority with ?ca=`;
  }
  if (/alert|certificate required|ECONNRESET|socket hang up/i.test(message)) {
    return "; the server may want a client certificate that it trusts: give it with ?cert= and ?key=";
  }
  return "";
}
