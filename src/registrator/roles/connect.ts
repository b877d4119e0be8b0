import type { Instance } from "../../instance.ts";
import { credentialsFor, type ProbeLogins } from "./credentials.ts";
import { httpProbe } from "./http.ts";
import { mysqlProbe } from "./mysql.ts";
import { postgresProbe } from "./postgres.ts";
import type { Probe, ProbeTarget } from "./probe.ts";
import { redisProbe } from "./redis.ts";
import type { RoleSource } from "./role-source.ts";

/** A role source that asks the server itself. */
export type Probed = Exclude<RoleSource, { readonly by: "elect" }>;

/** The probe of one instance, at the address and port that it is registered with. Asks nothing yet. */
export function probeOf(
  { address, port, service }: Instance,
  source: Probed,
  { timeout, logins }: { readonly timeout: number; readonly logins: ProbeLogins },
): Probe {
  const credentials = () => credentialsFor(logins, service, source.by);
  const target: ProbeTarget = { address, port, timeout, credentials };
  switch (source.by) {
    case "redis":
      return redisProbe(target);
    case "postgres":
      return postgresProbe(target);
    case "mysql":
      return mysqlProbe(target);
    case "http":
      return httpProbe(target, source.path);
  }
}
