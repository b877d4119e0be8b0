import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { monotonic } from "../clock.ts";
import type { Daemon } from "../daemon.ts";
import { coded, PortolanError } from "../errors.ts";
import { formatAddress, isLoopback } from "./address.ts";

/** What the status pages show. */
export interface StatusOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly version: string;
  /** The running daemon; undefined while there is none. */
  daemon(): Pick<Daemon, "notReady" | "status"> | undefined;
}

/** The running status server. */
export interface StatusServer {
  /** `HOST:PORT`, as it listens. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Serves `/healthz`, `/readyz` and `/status`. It reads and never decides. Rejects with ADDRESS_IN_USE when
 * another process has the address, and with FAILED when it cannot be used at all.
 */
export async function startStatusServer(options: StatusOptions): Promise<StatusServer> {
  const server = createServer((request, response) => answer(request, response, options));
  await listen(server, options);
  // A connection that breaks is the client's affair.
  server.on("error", () => {});
  const { address, port } = server.address() as AddressInfo;
  return {
    address: formatAddress(address, port),
    close: () =>
      new Promise((resolve) => {
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
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function answer(request: IncomingMessage, response: ServerResponse, options: StatusOptions): void {
  let page: Page;
  try {
    page = pageFor(request, options);
  } catch (error) {
    page = { status: 500, body: coded("FAILED", error).message };
  }
  const headers = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    ...page.headers,
  };
  response.writeHead(page.status, headers).end(`${page.body}\n`);
}

function pageFor({ headers, method, url = "" }: IncomingMessage, { daemon, version }: StatusOptions): Page {
  // A page in a browser must not read this through a name that resolves to the loopback address. Browsers always
  // name a host; HTTP/1.0 checks, such as HAProxy's, do not.
  if (headers.host !== undefined && !isLoopback(hostOf(headers.host))) {
    return { status: 403, body: "ask for this by a loopback address or localhost" };
  }
  if (method !== "GET") return { status: 405, body: "only GET", headers: { allow: "GET" } };

  const running = daemon();
  const notReady = running?.notReady() ?? ["starting"];
  switch (url.split("?")[0]) {
    case "/healthz":
      return { status: 200, body: "ok" };
    case "/readyz":
      return notReady.length === 0
        ? { status: 200, body: "ready" }
        : { status: 503, body: notReady.join("\n") };
    case "/status": {
      const uptimeSeconds = Math.round(monotonic() / 1000);
      const facts = { version, pid: process.pid, uptimeSeconds, notReady };
      const body = JSON.stringify({ ...facts, ...(running?.status() as object | undefined) }, undefined, 1);
      return { status: 200, body, headers: { "content-type": "application/json" } };
    }
    default:
      return { status: 404, body: "here are /healthz, /readyz and /status" };
  }
}

/** The host of a Host header, without port and brackets. */
function hostOf(header: string): string {
  return header.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
