import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How nginx is started: the caller writes the configuration. */
export interface NginxOptions {
  /** Path of the configuration file. It must not set `daemon` or `pid`, which are given on the command line. */
  readonly config: string;
  /** Prefix of relative paths in the configuration; `logs` below it exists. */
  readonly dir?: string;
}

/** nginx in the foreground. Reload it with SIGHUP to `pid()`. */
export interface Nginx extends TestServer {
  readonly pidFile: string;
}

/** Starts nginx and waits until it has read its configuration and bound its ports. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const { nginx } = await ensureInstalled(["nginx"]);
  const dir = options.dir ?? tempDir("nginx");
  const pidFile = join(dir, "nginx.pid");
  mkdirSync(join(dir, "logs"), { recursive: true });
  const server = await startServer({
    name: "nginx",
    command: nginx.nginx,
    args: ["-p", `${dir}/`, "-e", "stderr", "-c", options.config, "-g", `daemon off; pid ${pidFile};`],
    dir,
    dataDir: join(dir, "data"),
    logFile: join(dir, "nginx.log"),
    whenOrphaned: "SIGTERM",
    beforeRestart: async () => rmSync(pidFile, { force: true }),
    ready: () => existsSync(pidFile),
  });
  return { ...server, pidFile };
}

/** The version, for example "1.22.1". */
export async function nginxVersion(): Promise<string> {
  const { nginx } = await ensureInstalled(["nginx"]);
  const text = await exec("sh", ["-c", 'exec "$0" -v 2>&1', nginx.nginx]);
  return /nginx\/(?<version>[\d.]+)/.exec(text)?.groups?.version ?? "";
}
