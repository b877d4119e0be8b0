import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How a PostgreSQL is started. */
export interface PostgresOptions {
  /** The port on 127.0.0.1 of the primary that it follows: it begins as a copy of that one. */
  readonly standbyOf?: number;
  /** Of the role `postgres`; without one everybody on 127.0.0.1 is let in. Not together with `standbyOf`. */
  readonly password?: string;
}

/** A PostgreSQL on 127.0.0.1. */
export interface Postgres extends TestServer {
  readonly port: number;
  /** What `psql` prints for a statement, without headings. */
  query(sql: string): Promise<string>;
}

/**
 * PostgreSQL refuses to run as root: it runs as the user and group "nobody", who may look into our private folder.
 * A change of user forgets what the kernel was told to send when we die.
 */
const nobody = 65534;
const asNobody = [
  ["--reuid", String(nobody), "--regid", String(nobody), "--clear-groups"],
  ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"],
  ["--pdeathsig", "TERM", "--"],
].flat();

/** Starts a PostgreSQL, made anew, and waits until it answers. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const { postgres } = await ensureInstalled(["postgres"]);
  const port = await freePort();
  const dir = tempDir("postgres");
  const dataDir = join(dir, "data");
  mkdirSync(dataDir, { mode: 0o700 });
  for (const folder of [dir, dataDir]) chownSync(folder, nobody, nobody);
  const run = (program: string, ...args: readonly string[]) =>
    exec("setpriv", [...asNobody, join(postgres.home, program), ...args], { within: 60_000, cwd: dir });
  if (options.standbyOf !== undefined) {
    const from = ["-h", "127.0.0.1", "-p", String(options.standbyOf), "-U", "postgres"];
    await run("pg_basebackup", ...from, "-D", dataDir, "-R", "-X", "stream", "-c", "fast");
  } else {
    const file = join(dir, "password");
    writeFileSync(file, `${options.password ?? "none"}\n`);
    chmodSync(file, 0o644);
    const auth = options.password === undefined ? "trust" : "scram-sha-256";
    await run(
      "initdb",
      "-D",
      dataDir,
      "-U",
      "postgres",
      "-A",
      auth,
      "--pwfile",
      file,
      "--no-sync",
      "-E",
      "UTF8",
    );
  }
  const query = (sql: string) =>
    exec(
      join(postgres.home, "psql"),
      ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-tAc", sql],
      {
        env: { PGPASSWORD: options.password ?? "", PGCONNECT_TIMEOUT: "5" },
      },
    );
  const settings = [
    ["listen_addresses", "127.0.0.1"],
    ["port", String(port)],
    ["unix_socket_directories", dir],
    ["fsync", "off"],
    ["shared_buffers", "16MB"],
    ["wal_keep_size", "64MB"],
  ].flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  const server = await startServer({
    name: "postgres",
    command: "setpriv",
    args: [...asNobody, join(postgres.home, "postgres"), "-D", dataDir, ...settings],
    dir,
    dataDir,
    logFile: join(dir, "postgres.log"),
    whenOrphaned: "SIGTERM",
    ready: async () => (await query("SELECT 1")).trim() === "1",
  });
  return { ...server, port, query };
}
