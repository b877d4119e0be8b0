import { createConnection } from "node:net";
import { deadline } from "../clock.ts";
import { askDocker } from "../templater/reload/docker.ts";
import { parseInfo, parseProc } from "../templater/reload/haproxy/answers.ts";
import { askOnce, openSession } from "../templater/reload/haproxy/cli.ts";
import { askToSignal, laterThan, readPidfile } from "../templater/reload/pidfile.ts";
import type { ContainerReload, HaproxyReload, Reload, Target } from "../templater/target.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";
import { isProgram, missing } from "./program.ts";

/** ms that a proxy has to answer. */
const patience = 3_000;

const means = "a new file is written, and the proxy does not hear of it until this is mended";

/** The process's environment, and what ends the work early. */
export interface Asking {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stop: AbortSignal;
}

/** Whether the proxy could be told of a new file. It is asked, and never told anything. */
export async function lookAtReload(
  { destination, reload }: Pick<Target, "destination" | "reload">,
  { env, stop }: Asking,
): Promise<Finding> {
  try {
    return ok(destination, await wayTo(reload, env, deadline(patience, stop)));
  } catch (error) {
    if (error instanceof NoProgram) return missing(destination, error.message, means);
    // A proxy that does not run reads the file when it starts.
    const level = reload.kind === "command" ? "wrong" : "warning";
    return troubleOf(destination, level, error, means, "start the proxy, or correct `reload`");
  }
}

class NoProgram extends Error {}

/** What has been seen of the way to the proxy. Rejects where there is none. */
async function wayTo(reload: Reload, env: Asking["env"], limit: AbortSignal): Promise<string> {
  switch (reload.kind) {
    case "none":
      return "nobody is told of a new file (`reload` is not set)";
    case "command": {
      if ("shell" in reload.command) return "its reload is for a shell, and was not tried";
      const [program = ""] = reload.command.argv;
      if (!(await isProgram(program, env.PATH))) throw new NoProgram(program);
      return `its reload can be started (${program}), and was not tried`;
    }
    case "signal":
      return `${reload.name} would go to process ${await processOf(reload.name, reload.pidfile)}`;
    case "nginx":
      return `nginx runs as process ${await processOf("SIGHUP", reload.pidfile)}`;
    case "haproxy":
      return haproxy(reload, limit);
    case "http":
      await reach(new URL(reload.url), limit);
      return `${reload.method} ${withoutSecrets(reload.url)} would be heard, and was not sent`;
    case "container":
      return container(reload, env, limit);
  }
}

/** The process that a pidfile names, if this user may signal it. */
async function processOf(name: NodeJS.Signals, pidfile: string): Promise<number> {
  const pid = await readPidfile(name, pidfile, (found) => laterThan(pidfile, found));
  askToSignal(name, pid, pidfile);
  return pid;
}

async function haproxy({ socket, master }: HaproxyReload, limit: AbortSignal): Promise<string> {
  const session = await openSession(socket, limit);
  try {
    const info = parseInfo(await session.ask("show info"));
    const level = (await session.ask("show cli level")).trim();
    if (info === undefined || level !== "admin") {
      const right = "`stats socket PATH level admin`";
      throw new Error(
        `${socket} answers with the level ${level || "of a stranger"}; write ${right} in global`,
      );
    }
    const version = `${Math.floor(info.version / 100)}.${info.version % 100}`;
    const found = `HAProxy ${version} answers at ${socket} with the level admin`;
    if (master === undefined) return found;
    if (parseProc(await askOnce(master, "show proc", limit))) return `${found}, and its master at ${master}`;
    throw new Error(`${master} is not the socket of a HAProxy master; start HAProxy with -W -S ${master}`);
  } finally {
    session.close();
  }
}

function reach({ hostname, port, protocol }: URL, limit: AbortSignal): Promise<void> {
  const usual = protocol === "https:" ? 443 : 80;
  return new Promise((resolve, reject) => {
    const socket = createConnection({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? usual : Number(port),
    });
    const end = (settle: () => void) => {
      limit.removeEventListener("abort", late);
      socket.destroy();
      settle();
    };
    const late = () => end(() => reject(new Error(`${hostname}: no connection within ${patience / 1000} s`)));
    limit.addEventListener("abort", late, { once: true });
    socket.once("connect", () => end(resolve));
    socket.once("error", (error) => end(() => reject(error)));
  });
}

async function container(
  { name, docker }: ContainerReload,
  env: Asking["env"],
  limit: AbortSignal,
): Promise<string> {
  const host = docker ?? (env.DOCKER_HOST || "unix:///var/run/docker.sock");
  const path = `/containers/${encodeURIComponent(name)}/json`;
  const { status, body } = await askDocker(host, "GET", path, undefined, limit);
  if (status !== 200)
    throw new Error(`container ${name}: Docker answered ${status}; start it, or correct name`);
  const { State: state } = JSON.parse(body.toString()) as { State?: { Running?: boolean } };
  if (state?.Running) return `container ${name} runs; whether Docker lets it be told was not tried`;
  throw new Error(`container ${name} does not run; start it`);
}

/** Users and parameters of a URL may be credentials. */
function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
