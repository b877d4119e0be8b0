import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { monotonic, wallTime } from "../clock.ts";
import type { Daemon } from "../daemon.ts";
import { coded, PortolanError } from "../errors.ts";
import { formatAddress, isLoopback } from "./address.ts";
import type { Metrics } from "./metrics.ts";
import { pageFile } from "./page-files.ts";
import { type Facts, piecesOf } from "./pieces.ts";
import { createStream, type Stream } from "./stream.ts";
import type { Token } from "./token.ts";

/** What the status pages show. */
export interface StatusOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly version: string;
  /** `registrator`, `templater` or `agent`. */
  readonly command: string;
  readonly metrics: Metrics;
  /** What a request for anything but `/healthz` has to carry. Absent: whoever reaches the loopback address may ask. */
  readonly token?: Token | undefined;
  /** The running daemon; undefined while there is none. */
  daemon(): Pick<Daemon, "notReady" | "status"> | undefined;
}

/** The running status server. */
export interface StatusServer {
  /** `HOST:PORT`, as it listens. */
  readonly address: string;
  /** Ends the event streams of the page, so that those who watch it have to carry the token of now. */
  dismiss(): void;
  close(): Promise<void>;
}

/**
 * Serves `/healthz`, `/readyz`, `/status`, `/metrics`, and the page at `/` with its `/events`. It reads and never decides. Rejects with ADDRESS_IN_USE when
 * another process has the address, and with FAILED when it cannot be used at all.
 */
export async function startStatusServer(options: StatusOptions): Promise<StatusServer> {
  const stream = createStream(() =>
    piecesOf(factsOf(options), options.daemon()?.status() ?? {}, options.metrics.recent()),
  );
  const server = createServer((request, response) => void answer(request, response, options, stream));
  await listen(server, options);
  // A connection that breaks is the client's affair.
  server.on("error", () => {});
  const { address, port } = server.address() as AddressInfo;
  return {
    address: formatAddress(address, port),
    dismiss: stream.dismiss,
    close: () =>
      new Promise((resolve) => {
        stream.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { host, port }: StatusOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const address = formatAddress(host, port);
      reject(
        error.code === "EADDRINUSE"
          ? new PortolanError(
              "ADDRESS_IN_USE",
              `${address} is taken by another process; choose another with --listen, or off`,
              {
                cause: error,
              },
            )
          : coded("FAILED", error, `cannot listen on ${address}: `),
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

interface Page {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What every answer says. Only the page's own files run in it, and nobody else may show or read them. */
const guarding: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": [
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Never rejects. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: StatusOptions,
  stream: Stream,
): Promise<void> {
  const page = await pageFor(request, options).catch((error: unknown) => ({
    status: 500,
    body: coded("FAILED", error).message,
    headers: {},
  }));
  if (page === "events") {
    if (!stream.open(response, guarding)) response.writeHead(503, guarding).end("too many watch this\n");
    return;
  }
  const headers = { "content-type": "text/plain; charset=utf-8", ...guarding, ...page.headers };
  response.writeHead(page.status, headers);
  response.end(typeof page.body === "string" && !page.body.endsWith("\n") ? `${page.body}\n` : page.body);
}

async function pageFor(
  { headers, method, url = "" }: IncomingMessage,
  options: StatusOptions,
): Promise<Page | "events"> {
  const path = url.split("?")[0] ?? "";
  const refusal = refusalOf(path, headers, options);
  if (refusal) return refusal;
  if (method !== "GET") return { status: 405, body: "only GET", headers: { allow: "GET" } };

  const { daemon, metrics } = options;
  switch (path) {
    case "/healthz":
      return { status: 200, body: "ok" };
    case "/readyz": {
      const { notReady } = factsOf(options);
      return notReady.length === 0
        ? { status: 200, body: "ready" }
        : { status: 503, body: notReady.join("\n") };
    }
    case "/status": {
      const body = JSON.stringify({ ...factsOf(options), ...daemon()?.status() }, undefined, 1);
      return { status: 200, body, headers: { "content-type": "application/json" } };
    }
    case "/metrics": {
      const body = await metrics.text(daemon()?.status() ?? {}, factsOf(options).notReady, options);
      return { status: 200, body, headers: { "content-type": metrics.contentType } };
    }
    case "/events":
      return "events";
    default: {
      const file = await pageFile(path);
      if (file) return { status: 200, body: file.bytes, headers: { "content-type": file.type } };
      return { status: 404, body: "here are /, /healthz, /readyz, /status and /metrics" };
    }
  }
}

/** Why nobody may read this, or not by this name; undefined when they may. */
function refusalOf(
  path: string,
  { host, authorization }: IncomingHttpHeaders,
  { token }: StatusOptions,
): Page | undefined {
  // A browser sends a token only to the origin for which somebody has typed it in, so that any name will do.
  if (token) {
    // Supervisors have no token, and learn nothing but that the process works.
    if (path === "/healthz" || token.isIn(authorization)) return undefined;
    const body = "this needs the token of --listen-token-file: as a bearer, or as the password of any user";
    return { status: 401, body, headers: { "www-authenticate": 'Basic realm="portolan", charset="UTF-8"' } };
  }
  // A page in a browser must not read this through a name that resolves to the loopback address. Browsers always
  // name a host; HTTP/1.0 checks, such as HAProxy's, do not.
  if (host === undefined || isLoopback(hostOf(host))) return undefined;
  return { status: 403, body: "ask for this by a loopback address or localhost" };
}

function factsOf({ version, command, daemon }: StatusOptions): Facts {
  const notReady = daemon()?.notReady() ?? ["starting"];
  const uptimeSeconds = Math.round(monotonic() / 1000);
  return { version, command, pid: process.pid, uptimeSeconds, now: wallTime(), notReady };
}

/** The host of a Host header, without port and brackets. */
function hostOf(header: string): string {
  return header.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
