import type { Row, Sql } from "postgres";
import { keptProbe } from "./kept.ts";
import type { Probe, ProbeTarget } from "./probe.ts";
import type { Finding } from "./standing.ts";

/**
 * The timeline is the first eight hexadecimal digits of the name of the WAL file that a primary writes; during
 * recovery that function does not answer.
 */
const question = `
  SELECT pg_is_in_recovery() AS standby,
         CASE WHEN pg_is_in_recovery() THEN NULL
              ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END AS timeline`;

/** Asks PostgreSQL with `pg_is_in_recovery()`, which every role that may connect may call. */
export function postgresProbe(target: ProbeTarget): Probe {
  return keptProbe({
    open: () => connectionTo(target),
    ask: async (sql) => findingOf((await sql.unsafe(question))[0]),
    end: (sql) => void sql.end({ timeout: 0 }).catch(() => {}),
  });
}

async function connectionTo({ address, port, timeout, credentials }: ProbeTarget): Promise<Sql> {
  // Most hosts have none to ask.
  const { default: connect } = await import("postgres");
  const { user = "postgres", password, database = "postgres" } = credentials();
  return connect({
    host: address,
    port,
    user,
    database,
    ...(password !== undefined && { password }),
    max: 1,
    connect_timeout: timeout / 1000,
    // One connection for good: neither closed when idle nor replaced by age, and no query about types.
    idle_timeout: 0,
    max_lifetime: null,
    fetch_types: false,
    prepare: false,
    backoff: false,
    connection: { application_name: "portolan" },
    onnotice: () => {},
  });
}

function findingOf(row: Row | undefined): Finding {
  if (row?.standby === true) return { role: "slave" };
  const timeline = Number.parseInt(String(row?.timeline), 16);
  if (row?.standby === false && timeline > 0) return { role: "master", epoch: String(timeline) };
  throw new Error("pg_is_in_recovery() has no known answer");
}
