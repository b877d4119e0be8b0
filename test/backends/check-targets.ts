// What the checks of Consul's tests are aimed at: small servers that can be made to fail.
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo } from "node:net";

/** A server on 127.0.0.1 that a check is aimed at. */
export interface Target {
  readonly port: number;
  /** Whether a check of it passes from now on. */
  works(yes: boolean): void;
  /** Requests so far, each as `METHOD path headers body`. */
  readonly seen: readonly string[];
  close(): Promise<void>;
}

/** A key and a certificate in PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

/** Answers 200 while it works, else 503. */
export function httpTarget(identity?: Identity): Promise<Target> {
  let well = true;
  const seen: string[] = [];
  const answer: http.RequestListener = (request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      seen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)} ${body}`);
      response.writeHead(well ? 200 : 503).end();
    });
  };
  const server = identity ? https.createServer(identity, answer) : http.createServer(answer);
  return listening(server, seen, (yes) => {
    well = yes;
  });
}

/** Takes connections while it works, else ends every one with a reset. */
export async function tcpTarget(): Promise<Target> {
  const server = net.createServer((socket) => socket.end());
  const target = await listening(server, [], () => {});
  const { port } = target;
  return {
    ...target,
    works(yes) {
      if (yes === server.listening) return;
      if (yes) server.listen(port, "127.0.0.1");
      else server.close();
    },
  };
}

/** The health service of gRPC: SERVING while it works, else NOT_SERVING. */
export function grpcTarget(identity?: Identity): Promise<Target> {
  let well = true;
  const seen: string[] = [];
  const answer = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("end", () => {
      seen.push(`${headers[":method"]} ${headers[":path"]} ${Buffer.concat(chunks).toString("latin1")}`);
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      // A frame of two bytes: field 1, the status, a varint.
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, well ? 1 : 2]));
    });
  };
  const server = identity ? http2.createSecureServer(identity) : http2.createServer();
  server.on("stream", answer);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => {});
  });
  const end = () => {
    for (const session of sessions) session.destroy();
  };
  return listening(
    server,
    seen,
    (yes) => {
      well = yes;
    },
    end,
  );
}

function listening(
  server: net.Server,
  seen: readonly string[],
  works: (yes: boolean) => void,
  end: () => void = () => {},
): Promise<Target> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        works,
        seen,
        close: () =>
          new Promise((done) => {
            if (server instanceof http.Server) server.closeAllConnections();
            end();
            server.close(() => done());
          }),
      });
    });
  });
}
