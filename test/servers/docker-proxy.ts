// A proxy in front of a Docker socket that understands what is asked: it refuses, counts, and disturbs events.
import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { EventDisturber } from "./disturbed-events.ts";

/** One call of a client. */
export interface DockerCall {
  readonly method: string;
  /** Without the query and without the prefix `/v1.xx`. */
  readonly path: string;
  readonly allowed: boolean;
}

/** What a proxy stands in front of. */
export interface DockerProxyOptions {
  /** Docker's socket. */
  readonly upstream: string;
  /** The path of the socket on which it listens. */
  readonly listen: string;
  /** Other calls are answered with 403. Default: all are allowed. */
  readonly allow?: (method: string, path: string) => boolean;
  /** Makes what stands between Docker and one event stream; default: nothing does. */
  readonly disturb?: (send: (line: string) => void) => EventDisturber;
}

/** A proxy in front of a Docker socket. */
export interface DockerProxy {
  /** Its socket as a URL. */
  readonly url: string;
  /** What was asked since the start or the last `forget`, in order. */
  calls(): readonly DockerCall[];
  /** Most inspects of containers that were in flight at the same time. */
  inspectsAtOnce(): number;
  forget(): void;
  stop(): Promise<void>;
}

/** Exactly what a registrator may ask of a Docker that it must not be able to change. */
export function readOnly(method: string, path: string): boolean {
  return (
    method === "GET" &&
    /^\/(_ping|version|info|events|containers\/json|containers\/[^/]+\/json|networks(\/.*)?)$/.test(path)
  );
}

const isInspect = (path: string): boolean => /^\/containers\/[^/]+\/json$/.test(path);

/** Starts a proxy; it listens when the promise resolves. */
export async function startDockerProxy(options: DockerProxyOptions): Promise<DockerProxy> {
  const { upstream, listen, allow = () => true, disturb } = options;
  let calls: DockerCall[] = [];
  let inspects = 0;
  let mostInspects = 0;

  const serve = (asked: IncomingMessage, answer: ServerResponse): void => {
    const { pathname } = new URL(asked.url ?? "/", "http://docker");
    const path = pathname.replace(/^\/v1\.\d+/, "");
    const method = asked.method ?? "";
    const allowed = allow(method, path);
    calls.push({ method, path, allowed });
    if (!allowed) {
      answer.writeHead(403, { "content-type": "text/plain" }).end("403 Forbidden\n");
      return;
    }
    if (isInspect(path)) {
      inspects += 1;
      mostInspects = Math.max(mostInspects, inspects);
      answer.once("close", () => {
        inspects -= 1;
      });
    }
    const onward = request({
      socketPath: upstream,
      method,
      path: asked.url,
      headers: asked.headers,
      agent: false,
    });
    const broken = (): void => void answer.destroy();
    onward.on("error", broken);
    answer.on("close", () => onward.destroy());
    onward.on("response", (incoming) => {
      incoming.on("error", broken);
      incoming.on("aborted", broken);
      answer.writeHead(incoming.statusCode ?? 502, incoming.headers);
      answer.flushHeaders();
      if (path !== "/events" || disturb === undefined) return void incoming.pipe(answer);
      const events = disturb((line) => answer.writable && answer.write(line));
      incoming.setEncoding("utf8");
      incoming.on("data", events.take);
      incoming.on("end", () => answer.end());
      answer.on("close", events.end);
    });
    asked.pipe(onward);
  };

  const server = createServer(serve);
  rmSync(listen, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen, resolve);
  });
  return {
    url: `unix://${listen}`,
    calls: () => calls,
    inspectsAtOnce: () => mostInspects,
    forget: () => {
      calls = [];
      mostInspects = inspects;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
