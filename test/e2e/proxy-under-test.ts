import { mkdirSync } from "node:fs";
import { request } from "node:http";
import { cpus } from "node:os";
import { join } from "node:path";
import { ensureInstalled } from "../servers/install.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { startServer, type TestServer } from "../servers/server.ts";

/** The load balancers that the pipeline is tested with. */
export const proxies = ["haproxy", "nginx"] as const;
export type ProxyName = (typeof proxies)[number];

/** What a proxy answered. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A load balancer that is described by one file, with everything that a target needs to know about it. */
export interface ProxyUnderTest {
  readonly name: ProxyName;
  /** Path of the shipped template. */
  readonly template: string;
  /** The file that it reads. */
  readonly config: string;
  readonly pidFile: string;
  readonly check: readonly string[];
  readonly signal: "USR2" | "HUP";
  /** How many worker processes it has when no old ones are left. */
  readonly workers: number;
  /** Variables that the template reads. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts it on the file, which must be there. */
  start(): Promise<TestServer>;
  /** Asks it for a page of a virtual host; gives up after `within` ms (default 5 s). */
  get(host: string, within?: number): Promise<Answer>;
}

const templates = join(import.meta.dirname, "../../templates");

/** Prepares a proxy on a free port; it is not running yet. */
export async function prepareProxy(name: ProxyName): Promise<ProxyUnderTest> {
  const { haproxy, nginx } = await ensureInstalled(["haproxy", "nginx"]);
  const dir = tempDir(name);
  const port = await freePort();
  const config = join(dir, `${name}.conf`);
  const pidFile = join(dir, `${name}.pid`);
  for (const folder of ["logs", "temp"]) mkdirSync(join(dir, folder));
  const isHaproxy = name === "haproxy";
  return {
    name,
    template: join(templates, isHaproxy ? "haproxy.cfg.hbs" : "nginx.conf.hbs"),
    config,
    pidFile,
    check: isHaproxy
      ? [haproxy.haproxy, "-c", "-f", "{{src}}"]
      : [nginx.nginx, "-t", "-p", `${dir}/`, "-e", "stderr", "-c", "{{src}}"],
    signal: isHaproxy ? "USR2" : "HUP",
    workers: isHaproxy ? 1 : cpus().length,
    env: {
      PORTOLAN_HTTP_BIND: `127.0.0.1:${port}`,
      PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
      PORTOLAN_NGINX_PID: pidFile,
      PORTOLAN_NGINX_ERROR_LOG: "stderr",
      PORTOLAN_NGINX_TEMP: join(dir, "temp"),
    },
    start: () =>
      startServer({
        name,
        command: isHaproxy ? haproxy.haproxy : nginx.nginx,
        args: isHaproxy
          ? ["-W", "-p", pidFile, "-f", config]
          : ["-p", `${dir}/`, "-e", "stderr", "-c", config, "-g", "daemon off;"],
        dir,
        dataDir: join(dir, "data"),
        logFile: join(dir, "log"),
        whenOrphaned: "SIGTERM",
        ready: () => ask(port, "nobody.test").then(() => true),
      }),
    get: (host, within) => ask(port, host, within),
  };
}

/** One request on a connection of its own. */
function ask(port: number, host: string, within = 5000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port, headers: { host }, agent: false, signal: AbortSignal.timeout(within) },
      (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (text: string) => {
          body += text;
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: body.trim() }));
        answer.on("error", reject);
      },
    );
    asked.on("error", reject);
    asked.end();
  });
}
