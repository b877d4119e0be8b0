import { readFileSync } from "node:fs";
import { join } from "node:path";
import Docker, { type ContainerInfo, type NetworkInspectInfo } from "dockerode";
import { before, deadline } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import type { LocalContainer } from "../../local-containers.ts";
import { type Container, exitCodeOf, isRunning, toContainer } from "./container.ts";
import { describe, type Internal, networksOf } from "./described.ts";

/** The newest API version that this code was written for; an older daemon's own is used instead. */
const newestApi = "1.51";

/** ms that Docker may take for one answer. */
const patience = 10_000;

/** A daemon that has answered: its identity, and the few calls that registration needs. All are GETs. */
export interface DockerClient {
  /** Docker's own id, stable across restarts. */
  readonly engine: string;
  /** The daemon's host name. */
  readonly hostname: string;
  readonly apiVersion: string;
  /** Unix seconds on the daemon's clock when it was asked. */
  readonly now: number;
  /** The containers that run; with `ended`, those that do not as well. */
  list(ended: boolean, signal: AbortSignal): Promise<readonly Listed[]>;
  /**
   * Undefined when there is no such container. Rejects with an UnreadError when Docker does not answer in time,
   * or not sensibly, about this container.
   */
  inspect(
    id: string,
    readable: (name: string) => boolean,
    signal: AbortSignal,
  ): Promise<Inspected | undefined>;
  /** Whether each network leads nowhere else, by its id. Empty where Docker does not let networks be read. */
  networks(signal: AbortSignal): Promise<Internal>;
  /** Container and network events since the given Unix seconds, then live; one parsed event at a time. */
  events(since: number, signal: AbortSignal): Promise<AsyncIterable<DockerEvent>>;
  /**
   * What Docker still knows of the same events from `since` to `until`, both Unix seconds and not after `now`:
   * it keeps the last 256 events of all kinds.
   */
  past(since: number, until: number, signal: AbortSignal): Promise<readonly DockerEvent[]>;
}

/** A line of the list of containers, as Docker writes it. */
export type Listed = Pick<ContainerInfo, "Id" | "Names" | "State" | "Status" | "Ports"> & {
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<
      Record<string, { readonly IPAddress?: string; readonly GlobalIPv6Address?: string }>
    >;
  };
};

/** What Docker says of one container. */
export interface Inspected {
  readonly container: Container;
  /** Of its last process; undefined while one lives, or when none ever did. */
  readonly exitCode: number | undefined;
  readonly running: boolean;
  /** The ids of the networks that it is on. */
  readonly networks: readonly string[];
  /** All that Docker says of it, secrets in its environment included. */
  describe(internal: Internal): LocalContainer;
}

/** Docker answers, but cannot describe this one container. */
export class UnreadError extends PortolanError {}

/** The part of an event that matters. */
export interface DockerEvent {
  readonly type: string;
  /** E.g. `start`, `kill`, `die`, `health_status: healthy`. */
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Unix seconds on the daemon's clock. */
  readonly time: number;
}

/**
 * Asks the daemon who it is and agrees on an API version: the daemon's own, or ours when it is newer.
 * Rejects with DOCKER_UNREACHABLE or DOCKER_DENIED.
 */
export async function connectDocker(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<DockerClient> {
  const address = dockerAddress(url, env);
  const either = new Docker(address);
  // What is asked of `/info` is the same in each version.
  const [version, info] = await Promise.all([
    call(url, signal, (options) => ask<Version>(either, "version", options)),
    call(url, signal, (options) => ask<Info>(either, "info", options)),
  ]);
  if (newer(version.MinAPIVersion ?? "0", newestApi)) {
    throw new PortolanError(
      "DOCKER_DENIED",
      `Docker at ${url} speaks API ${version.MinAPIVersion} or newer, this Portolan at most ${newestApi}; update Portolan`,
    );
  }
  const apiVersion = newer(version.ApiVersion, newestApi) ? newestApi : version.ApiVersion;
  const docker = new Docker({ ...address, version: `v${apiVersion}` });
  const { ID: engine, Name: hostname, SystemTime: time } = info;
  if (!engine || !hostname) {
    throw new PortolanError("DOCKER_UNREACHABLE", `Docker at ${url} does not tell its id (/info)`);
  }
  const filters = JSON.stringify({ type: ["container", "network"] });

  return {
    engine,
    hostname,
    apiVersion,
    now: time === undefined ? 0 : Date.parse(time) / 1000,
    async list(ended, outer) {
      const entries: unknown = await call(url, outer, (options) =>
        docker.listContainers(ended ? { ...options, all: true } : options),
      );
      // An empty body, say of a proxy, is not an empty list.
      if (Array.isArray(entries)) return entries;
      throw new PortolanError("DOCKER_UNREACHABLE", `Docker at ${url}: what it lists is not a list`);
    },
    async inspect(id, readable, outer) {
      try {
        const inspected = await call(url, outer, (options) =>
          docker.getContainer(id).inspect(options as object),
        );
        const container = toContainer(inspected, readable);
        return {
          container,
          exitCode: exitCodeOf(inspected),
          running: isRunning(inspected),
          networks: networksOf(inspected),
          describe: (internal) => describe(inspected, internal),
        };
      } catch (error) {
        const status = statusOf(error);
        if (status === 404) return undefined;
        const coded = error instanceof PortolanError;
        if (coded && !isLate(error.cause) && (status === undefined || status < 500)) throw error;
        const message = error instanceof Error ? error.message : String(error);
        throw new UnreadError(
          "DOCKER_UNREACHABLE",
          `container ${id.slice(0, 12)} cannot be read: ${message}`,
          {
            cause: error,
          },
        );
      }
    },
    async networks(outer) {
      try {
        const entries: unknown = await call(url, outer, (options) => docker.listNetworks(options));
        const listed = Array.isArray(entries) ? (entries as readonly NetworkInspectInfo[]) : [];
        return new Map(listed.map(({ Id: id, Internal: internal }) => [id, internal]));
      } catch (error) {
        // A proxy in front of the socket may have reasons of its own.
        if (statusOf(error) === 403 || statusOf(error) === 404) return new Map();
        throw error;
      }
    },
    async events(since, outer) {
      // The stream may be silent for days, so the deadline holds for its start only.
      const ending = new AbortController();
      outer.addEventListener("abort", () => ending.abort(), { once: true });
      const stream = await call(url, outer, (options) => {
        options.abortSignal.addEventListener("abort", () => ending.abort(), { once: true });
        return docker.getEvents({ filters, since, abortSignal: ending.signal });
      });
      return parseEvents(stream as unknown as AsyncIterable<Buffer>);
    },
    past: (since, until, outer) =>
      call(url, outer, async (options) => {
        const stream = await docker.getEvents({ ...options, filters, since, until });
        const events: DockerEvent[] = [];
        for await (const event of parseEvents(stream as unknown as AsyncIterable<Buffer>)) events.push(event);
        return events;
      }),
  };
}

interface Version {
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string;
}
interface Info {
  readonly ID?: string;
  readonly Name?: string;
  readonly SystemTime?: string;
}

/** Both calls take an abort signal, which their published types leave out. */
function ask<T>(docker: Docker, what: "version" | "info", options: { abortSignal: AbortSignal }): Promise<T> {
  return (docker[what] as unknown as (options: object) => Promise<T>).call(docker, options);
}

/**
 * One call that may take `ms`. The client gets a signal of its own with nothing attached, because it prints
 * every request with all that hangs on it (docker-modem inspects its options even when debugging is off).
 */
export async function call<T>(
  url: string,
  outer: AbortSignal,
  work: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ms = patience,
): Promise<T> {
  const own = new AbortController();
  const limit = deadline(ms, outer);
  const late = () => new DOMException(`no answer within ${ms / 1000} s`, "TimeoutError");
  const expire = () => own.abort();
  limit.addEventListener("abort", expire, { once: true });
  if (limit.aborted) expire();
  try {
    // The client never settles when an answer ends in the middle.
    return await before(limit, work({ abortSignal: own.signal }), late);
  } catch (cause) {
    throw dockerError(url, cause, outer);
  } finally {
    limit.removeEventListener("abort", expire);
  }
}

/** What Docker, or the way to it, said, as a coded error: ABORTED where `outer` is why. */
function dockerError(url: string, cause: unknown, outer: AbortSignal): PortolanError {
  if (outer.aborted) return new PortolanError("ABORTED", "cancelled", { cause });
  const status = statusOf(cause);
  const message = cause instanceof Error ? cause.message.trim() : String(cause);
  if (status === 401 || status === 403 || (cause as { code?: unknown })?.code === "EACCES") {
    const way = "give this user the right to read the socket, e.g. by its group";
    return new PortolanError("DOCKER_DENIED", `Docker at ${url}: ${message}; ${way}`, { cause });
  }
  return new PortolanError("DOCKER_UNREACHABLE", `Docker at ${url}: ${message}`, { cause });
}

function isLate(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "TimeoutError";
}

/** The status with which Docker has refused a call, if that is what went wrong. */
export function statusOf(error: unknown): number | undefined {
  const source = error instanceof PortolanError ? error.cause : error;
  const status = (source as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === "number" ? status : undefined;
}

/** Frames the stream by lines: a chunk may hold several events, or a part of one. */
async function* parseEvents(stream: AsyncIterable<Buffer>): AsyncIterable<DockerEvent> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of stream) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const event = parseEvent(rest.subarray(0, end).toString("utf8"));
        rest = rest.subarray(end + 1);
        if (event) yield event;
      }
    }
  } catch (cause) {
    // Node.js says no more than "aborted" of a Docker that ends.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the event stream broke off: ${message}`, { cause });
  }
}

/** Reads `Type`, `Action` and `Actor` only: the older `status`, `id` and `from` are gone from API 1.52 on. */
function parseEvent(line: string): DockerEvent | undefined {
  if (line.trim() === "") return undefined;
  const event = JSON.parse(line) as {
    Type?: string;
    Action?: string;
    Actor?: { ID?: string; Attributes?: Record<string, string> };
    time?: number;
    timeNano?: number;
  };
  return {
    type: event.Type ?? "",
    action: event.Action ?? "",
    id: event.Actor?.ID ?? "",
    attributes: event.Actor?.Attributes ?? {},
    time: event.timeNano !== undefined ? event.timeNano / 1e9 : (event.time ?? 0),
  };
}

/** Splits a Docker URL (`unix://`, `tcp://`, `http://`, `https://`) into what the client takes. */
export function dockerAddress(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
): { socketPath: string } | { host: string; port: number; protocol: "http" | "https" } {
  const unix = /^unix:\/\/(\/.+)$/.exec(url);
  if (unix?.[1]) return { socketPath: unix[1] };
  const tcp = /^(tcp|http|https):\/\/(\[[^\]]+\]|[^:/]+):(\d+)\/?$/.exec(url);
  if (!tcp?.[2] || !tcp[3]) {
    throw new PortolanError(
      "USAGE",
      `Docker URL "${url}": not understood; write unix:///var/run/docker.sock or tcp://host:2376`,
    );
  }
  const secure = tcp[1] === "https" || Boolean(env.DOCKER_TLS_VERIFY);
  const folder = env.DOCKER_CERT_PATH;
  const read = (name: string) => (folder === undefined ? undefined : readFileSync(join(folder, name)));
  return {
    host: tcp[2],
    port: Number(tcp[3]),
    protocol: secure ? "https" : "http",
    ...(secure &&
      folder !== undefined && { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") }),
  };
}

/** True when API version `a` is newer than `b`. */
function newer(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA > majorB || (majorA === majorB && minorA > minorB);
}
