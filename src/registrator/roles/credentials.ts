import { readFileSync } from "node:fs";
import type { Credentials } from "./probe.ts";

/** As whom probes ask, where somebody said it. */
export interface ProbeLogin {
  readonly user?: string;
  /** Absolute. */
  readonly passwordFile?: string;
}

/** By the name of a service, else by what a probe is for: `redis`, `postgres`, `mysql` or `http`. */
export type ProbeLogins = ReadonlyMap<string, ProbeLogin>;

/**
 * As whom the servers of a service are asked. The password is read anew each time; a line break at its end does
 * not count. Throws where the file cannot be read.
 */
export function credentialsFor(logins: ProbeLogins, service: string, kind: string): Credentials {
  const login = logins.get(service) ?? logins.get(kind);
  if (login === undefined) return {};
  const { user, passwordFile } = login;
  return {
    ...(user !== undefined && { user }),
    ...(passwordFile !== undefined && { password: passwordIn(passwordFile) }),
  };
}

function passwordIn(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code;
    throw new Error(`the password file ${file} of --probe-credentials cannot be read: ${why}`);
  }
}
