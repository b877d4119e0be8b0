import { type ClientRequestArgs, type IncomingMessage, request } from "node:http";

/**
 * The four requests that a reload makes to Docker. The registrator's client is not used: the templater and the
 * registrator share no file, and a templater mostly has no Docker at all.
 */
export interface DockerAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** Posts or gets a path of Docker's API; at most 1 MiB of the answer is kept. Rejects with Node's own errors. */
export function askDocker(
  docker: string,
  method: "GET" | "POST",
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<DockerAnswer> {
  const payload = body === undefined ? "" : JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const sent = request({ ...placeOf(docker), method, path, headers, signal, agent: false }, (answer) => {
      read(answer).then((bytes) => resolve({ status: answer.statusCode ?? 0, body: bytes }), reject);
    });
    sent.once("error", reject);
    sent.end(payload);
  });
}

async function read(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= 1024 * 1024) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function placeOf(docker: string): ClientRequestArgs {
  const socket = /^unix:\/\/(?<path>.+)$/.exec(docker)?.groups?.path;
  if (socket !== undefined) return { socketPath: socket, host: "docker" };
  const { hostname, port } = new URL(docker.replace(/^tcp:/, "http:"));
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 2375 : Number(port) };
}

/**
 * What a program wrote, out of the frames of Docker's raw stream: a byte for the stream, three of nothing,
 * four for the length.
 */
export function unframed(stream: Buffer): string {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 8 <= stream.length) {
    const length = stream.readUInt32BE(at + 4);
    parts.push(stream.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString();
}
