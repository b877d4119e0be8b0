import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { tempDir } from "../servers/run.ts";

/** A target of the product: the shipped template for HAProxy. */
export interface BenchTarget {
  /** The product's configuration file. */
  readonly config: string;
  /** The rendered file. */
  readonly destination: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Writes the configuration of a target that is reloaded by a signal. */
export function createTarget(haproxy: string, pidFile: string): BenchTarget {
  const dir = tempDir("bench-target");
  const [config, destination] = [join(dir, "portolan.yaml"), join(dir, "haproxy.cfg")];
  const target = {
    source: join(import.meta.dirname, "../../templates/haproxy.cfg.hbs"),
    destination,
    check: [haproxy, "-c", "-f", "{{src}}"],
    reload: { signal: { name: "USR2", pidfile: pidFile } },
  };
  writeFileSync(config, stringify({ templater: { minInterval: "50ms", templates: [target] } }));
  const env = {
    PORTOLAN_HTTP_BIND: "127.0.0.1:8080",
    PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
  };
  return { config, destination, env };
}
