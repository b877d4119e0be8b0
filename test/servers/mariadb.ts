import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** A MariaDB on 127.0.0.1 with a user `portolan` whose password is `secret`. */
export interface MariaDb extends TestServer {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** What the client prints for a statement as root, over the socket. */
  query(sql: string): Promise<string>;
}

/** Starts a MariaDB, made anew, and waits until it answers. */
export async function startMariaDb(): Promise<MariaDb> {
  const { mariadb } = await ensureInstalled(["mariadb"]);
  const port = await freePort();
  const dir = tempDir("mariadb");
  const dataDir = join(dir, "data");
  mkdirSync(dataDir);
  const socket = join(dir, "socket");
  const user = "portolan";
  const password = "secret";
  await exec(
    mariadb.create,
    ["--no-defaults", `--datadir=${dataDir}`, "--user=root", "--auth-root-authentication-method=socket"],
    { within: 60_000 },
  );
  const query = (sql: string) =>
    exec(mariadb.client, ["--no-defaults", `--socket=${socket}`, "-N", "-e", sql]);
  const args = ["--no-defaults", `--datadir=${dataDir}`, "--user=root", `--socket=${socket}`];
  const server = await startServer({
    name: "mariadb",
    command: mariadb.server,
    args: [...args, `--port=${port}`, "--bind-address=127.0.0.1", "--innodb-flush-method=fsync"],
    dir,
    dataDir,
    logFile: join(dir, "mariadb.log"),
    ready: async () => (await query("SELECT 1")).trim() === "1",
  });
  await query(`CREATE USER '${user}'@'127.0.0.1' IDENTIFIED BY '${password}'`);
  return { ...server, port, user, password, query };
}
