import type { Connection } from "mysql2/promise";
import { keptProbe } from "./kept.ts";
import type { Probe, ProbeTarget } from "./probe.ts";
import type { Finding } from "./standing.ts";

/** Asks MySQL or MariaDB for `read_only`, which every user that may connect may read. */
export function mysqlProbe(target: ProbeTarget): Probe {
  return keptProbe({
    open: () => connectionTo(target),
    ask: async (connection) => {
      const [rows] = await connection.query("SELECT @@GLOBAL.read_only AS frozen");
      return findingOf(rows);
    },
    end: (connection) => connection.destroy(),
  });
}

async function connectionTo({ address, port, timeout, credentials }: ProbeTarget): Promise<Connection> {
  // Most hosts have none to ask.
  const { createConnection } = await import("mysql2/promise");
  const { user, password, database } = credentials();
  const connection = await createConnection({
    host: address,
    port,
    connectTimeout: timeout,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
  });
  // A connection that breaks between two questions is found by the next one.
  connection.on("error", () => {});
  return connection;
}

/** MySQL answers 0 or 1; MariaDB from 12.0 on `OFF`, or a word for what is not allowed. */
function findingOf(rows: unknown): Finding {
  const [row] = Array.isArray(rows) ? (rows as { frozen?: unknown }[]) : [];
  if (row?.frozen === undefined || row.frozen === null) throw new Error("read_only has no known answer");
  const frozen = String(row.frozen).toUpperCase();
  return { role: frozen === "0" || frozen === "OFF" ? "master" : "slave" };
}
