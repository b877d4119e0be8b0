import { isAbsolute } from "node:path";
import { PortolanError } from "../errors.ts";
import type { ProbeLogin } from "../registrator/roles/credentials.ts";

/**
 * `NAME=USER:FILE`, where USER or `:FILE` may be absent: `redis=:/run/secrets/redis`, `db=portolan:/run/secrets/db`.
 * Throws USAGE.
 */
export function parseProbeLogin(text: string): readonly [name: string, login: ProbeLogin] {
  const [, name, user = "", file] = /^([^=\s]+)=([^:]*)(?::(.+))?$/s.exec(text) ?? [];
  if (name === undefined || (user === "" && file === undefined)) {
    throw new PortolanError(
      "USAGE",
      `"${text.split(":")[0]}" is not NAME=USER:FILE; NAME is redis, postgres, mysql, http or a service, FILE holds the password: redis=:/run/secrets/redis`,
    );
  }
  if (file !== undefined && !isAbsolute(file)) {
    throw new PortolanError(
      "USAGE",
      `the password of ${name} has to stand in a file with an absolute path, such as ${name}=${user}:/run/secrets/${name}`,
    );
  }
  return [name, { ...(user !== "" && { user }), ...(file !== undefined && { passwordFile: file }) }];
}
