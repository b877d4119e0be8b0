import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How HAProxy is started: the caller writes the configuration. */
export interface HaproxyOptions {
  /** Path of the configuration file. */
  readonly config: string;
  /** Path of the master's command socket (`-S`), if one is wanted. */
  readonly masterSocket?: string;
  readonly dir?: string;
  readonly args?: readonly string[];
}

/** HAProxy in master-worker mode. Reload it with SIGUSR2 to `pid()`, or through its master socket. */
export interface Haproxy extends TestServer {
  /** Holds the master's pid, as `-p` wrote it. */
  readonly pidFile: string;
}

/** Starts HAProxy (`-W -p PIDFILE -f CONFIG`) and waits until it has bound its ports and forked its worker. */
export async function startHaproxy(options: HaproxyOptions): Promise<Haproxy> {
  const { haproxy } = await ensureInstalled(["haproxy"]);
  const dir = options.dir ?? tempDir("haproxy");
  const pidFile = join(dir, "haproxy.pid");
  const master = options.masterSocket === undefined ? [] : ["-S", options.masterSocket];
  const server = await startServer({
    name: "haproxy",
    command: haproxy.haproxy,
    args: ["-W", "-p", pidFile, "-f", options.config, ...master, ...(options.args ?? [])],
    dir,
    dataDir: join(dir, "data"),
    logFile: join(dir, "haproxy.log"),
    whenOrphaned: "SIGTERM",
    beforeRestart: async () => rmSync(pidFile, { force: true }),
    ready: () => existsSync(pidFile) && hasChild(Number(readFileSync(pidFile, "utf8").trim())),
  });
  return { ...server, pidFile };
}

/** The version, for example "2.6.12". */
export async function haproxyVersion(): Promise<string> {
  const { haproxy } = await ensureInstalled(["haproxy"]);
  return /version (?<version>[\d.]+)/.exec(await exec(haproxy.haproxy, ["-v"]))?.groups?.version ?? "";
}

function hasChild(pid: number): boolean {
  return pid > 0 && readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim() !== "";
}
