import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a scripted container is. */
export interface Scripted {
  name: string;
  running: boolean;
  hostPort: number;
  stopSignal?: string;
  labels?: Readonly<Record<string, string>>;
  /** ISO 8601, when its process was started. */
  started?: string;
  paused?: boolean;
}

/** What the script answers instead of the truth: `hang` never answers, `cut` ends in the middle of a body. */
export type Fault = "hang" | "cut" | "error" | "empty" | undefined;

/**
 * The few endpoints of Docker that registration asks, over a world that the test writes: for the faults and
 * orders of events that a real Docker cannot be made to show at will.
 */
export async function startScriptedDocker() {
  const folder = await mkdtemp(join(tmpdir(), "scripted-docker-"));
  const path = join(folder, "docker.sock");
  const containers = new Map<string, Scripted>();
  const streams = new Set<ServerResponse>();
  const log: { line: string; time: number }[] = [];
  const script = {
    engine: "T5AP:HDRY",
    hostname: "host1",
    /** Called before an answer is computed. */
    before: async (_path: string): Promise<void> => {},
    /** Called after an answer is computed and before it is sent. */
    after: async (_path: string): Promise<void> => {},
    fault: (_path: string): Fault => undefined,
    /** Seconds that the daemon's clock is off. */
    clockOff: 0,
    asked: [] as string[],
  };
  const now = () => Date.now() / 1000 + script.clockOff;

  const inspected = (id: string, c: Scripted) => ({
    Id: id,
    Name: `/${c.name}`,
    Created: "2026-01-01T00:00:00Z",
    State: {
      Running: c.running,
      Paused: c.paused ?? false,
      Restarting: false,
      Dead: false,
      StartedAt: c.started ?? "2026-01-01T00:00:00Z",
    },
    Config: { Image: "web", Labels: c.labels ?? {}, Env: [], StopSignal: c.stopSignal ?? "SIGTERM" },
    HostConfig: { NetworkMode: "default" },
    NetworkSettings: {
      Networks: { bridge: { IPAddress: "172.17.0.2", GlobalIPv6Address: "" } },
      Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: String(c.hostPort) }] },
    },
  });
  const listed = (id: string, c: Scripted) => ({
    Id: id,
    Names: [`/${c.name}`],
    State: c.paused ? "paused" : "running",
    Status: c.paused ? "Up 1 second (Paused)" : "Up 1 second",
    Ports: [{ IP: "0.0.0.0", PrivatePort: 80, PublicPort: c.hostPort, Type: "tcp" }],
    NetworkSettings: { Networks: { bridge: { IPAddress: "172.17.0.2", GlobalIPv6Address: "" } } },
  });

  const answer = (url: URL): { status: number; body: unknown } => {
    const at = url.pathname.replace(/^\/v1\.\d+/, "");
    if (at === "/version") return { status: 200, body: { ApiVersion: "1.41", MinAPIVersion: "1.12" } };
    if (at === "/info") {
      const time = new Date(now() * 1000).toISOString();
      return { status: 200, body: { ID: script.engine, Name: script.hostname, SystemTime: time } };
    }
    if (at === "/containers/json") {
      const running = [...containers].filter(([, { running }]) => running);
      return { status: 200, body: running.map(([id, c]) => listed(id, c)) };
    }
    const id = /^\/containers\/([^/]+)\/json$/.exec(at)?.[1] ?? "";
    const found = containers.get(id);
    return found
      ? { status: 200, body: inspected(id, found) }
      : { status: 404, body: { message: "no such container" } };
  };

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://docker");
    script.asked.push(url.pathname);
    if (url.pathname.endsWith("/events")) {
      response.writeHead(200).flushHeaders();
      const since = Number(url.searchParams.get("since"));
      const until = url.searchParams.get("until") ?? undefined;
      const end = Number(until ?? Number.POSITIVE_INFINITY);
      for (const { line, time } of log) if (time >= since && time <= end) response.write(line);
      if (until !== undefined) return void response.end();
      streams.add(response);
      response.on("close", () => streams.delete(response));
      return;
    }
    await script.before(url.pathname);
    const fault = script.fault(url.pathname);
    const { status, body } = answer(url);
    await script.after(url.pathname);
    if (fault === "hang") return;
    if (fault === "error") return void response.writeHead(500).end('{"message":"broken layer"}');
    if (fault === "empty") return void response.writeHead(200).end();
    const text = JSON.stringify(body);
    response.writeHead(status, { "content-length": Buffer.byteLength(text) });
    if (fault === "cut") {
      response.write(text.slice(0, 10));
      return void setTimeout(() => request.socket.destroy(), 20);
    }
    response.end(text);
  };
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(path, resolve));

  return {
    url: `unix://${path}`,
    containers,
    script,
    /** Sends an event, and keeps it for those who read back. */
    emit(
      action: string,
      id: string,
      attributes: Record<string, string> = {},
      times = 1,
      age = 0,
      type = "container",
    ) {
      const time = now() - age;
      const line = `${JSON.stringify({ Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, timeNano: Math.round(time * 1e9) })}\n`;
      log.push({ line, time });
      for (let i = 0; i < times; i += 1) for (const stream of streams) stream.write(line);
    },
    /** Cuts every event stream. */
    cut() {
      for (const stream of streams) stream.destroy();
    },
    forgetEvents: () => void log.splice(0),
    streams: () => streams.size,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}
export type ScriptedDocker = Awaited<ReturnType<typeof startScriptedDocker>>;
