import { join, resolve } from "node:path";
import { parseBackendUrl } from "../backends/url.ts";
import type { Env } from "./settings.ts";

/** Where Consul's clients look for the same. */
const ofConsul = ["CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY"];

/**
 * The files of authorities, certificates and keys that these backends and this Docker are spoken to with; absolute
 * paths. They are replaced before they expire.
 */
export function certificateFiles(
  { backends, docker }: { readonly backends: readonly string[]; readonly docker: string },
  env: Env,
  cwd: string,
): readonly string[] {
  const ofBackends = backends.flatMap((text) => {
    const { scheme, query } = parseBackendUrl(text);
    const variables = scheme.startsWith("consul") ? ofConsul : [];
    return [
      ...["ca", "cert", "key"].map((name) => query.get(name)),
      ...variables.map((variable) => env[variable]),
    ];
  });
  const folder = docker.startsWith("unix:") ? undefined : env.DOCKER_CERT_PATH;
  const ofDocker = folder ? ["ca.pem", "cert.pem", "key.pem"].map((name) => join(folder, name)) : [];
  return [...ofBackends, ...ofDocker].flatMap((file) => (file ? resolve(cwd, file) : []));
}
