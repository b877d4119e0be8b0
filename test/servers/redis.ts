import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How a Redis is started. */
export interface RedisOptions {
  readonly port?: number;
  /** The port on 127.0.0.1 of the master that it copies. */
  readonly replicaOf?: number;
  readonly password?: string;
}

/** A Redis on 127.0.0.1 that keeps nothing on disk. */
export interface Redis extends TestServer {
  readonly port: number;
  /** What `redis-cli` prints for a command. */
  command(...args: readonly string[]): Promise<string>;
}

/** Starts a Redis and waits until it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const { redis } = await ensureInstalled(["redis"]);
  const port = options.port ?? (await freePort());
  const dir = tempDir("redis");
  const { password } = options;
  const command = (...args: readonly string[]) =>
    exec(redis.cli, ["-p", String(port), ...(password === undefined ? [] : ["-a", password]), ...args]);
  const args = [
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir],
    ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"],
    options.replicaOf === undefined ? [] : ["--replicaof", `127.0.0.1 ${options.replicaOf}`],
    password === undefined ? [] : ["--requirepass", password, "--masterauth", password],
  ].flat();
  const server = await startServer({
    name: "redis",
    command: redis.server,
    args,
    dir,
    dataDir: join(dir, "data"),
    logFile: join(dir, "redis.log"),
    ready: async () => (await command("PING")).includes("PONG"),
  });
  return { ...server, port, command };
}
