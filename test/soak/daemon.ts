import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { get } from "../servers/http.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { startServer, type TestServer } from "../servers/server.ts";

/** How much a process has of what must not grow. */
export interface Usage {
  /** MB of resident memory. */
  readonly memory: number;
  readonly descriptors: number;
  readonly children: number;
}

/** A registrator or templater under soak. */
export interface SoakDaemon extends TestServer {
  readonly name: "registrator" | "templater";
  /** Undefined when `/readyz` says 200, else what it says. */
  notReady(): Promise<string | undefined>;
  /** Undefined while it does not run. */
  usage(): Usage | undefined;
}

/** Starts one; it need not be ready yet. */
export async function startDaemon(
  cli: string,
  name: SoakDaemon["name"],
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<SoakDaemon> {
  const dir = tempDir(`soak-${name}`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const dataDir = join(dir, "data");
  const fixed = ["--listen", `127.0.0.1:${port}`, "--state-dir", join(dataDir, "state")];
  const server = await startServer({
    name: `portolan ${name}`,
    command: process.execPath,
    args: [cli, name, ...fixed, "--log-format", "json", "--log-level", "debug", ...args],
    env,
    dir,
    dataDir,
    logFile: join(dir, "log"),
    ready: async () => (await get(`${url}/healthz`)) !== undefined,
  });
  return {
    ...server,
    name,
    notReady: () =>
      get(`${url}/readyz`).then(
        () => undefined,
        (error: Error) => error.message,
      ),
    usage: () => usageOf(server.pid()),
  };
}

function usageOf(pid: number): Usage | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
    return {
      memory: Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]) / 1024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      children: children === "" ? 0 : children.split(" ").length,
    };
  } catch {
    return undefined;
  }
}
