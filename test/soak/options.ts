import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { countOption } from "./count-option.ts";

/** The backends that can be soaked. */
export const backends = ["file", "consul", "etcd", "zookeeper"] as const;
export type BackendName = (typeof backends)[number];

/** What a soak is told. */
export interface SoakOptions {
  /** ms for each backend, without starting and ending the servers. */
  readonly time: number;
  readonly only: readonly BackendName[];
  readonly seed: number;
  /** Containers on the host. */
  readonly containers: number;
  /** Containers that something is done to at the same time. */
  readonly hands: number;
  /** Single starts and ends at the end of each phase, of which the time is taken until they are seen. */
  readonly probes: number;
  /** A folder for the logs of a run that went wrong. */
  readonly logs: string | undefined;
  /** The built product. */
  readonly cli: string;
}

/** Reads the command line. @throws an error in one sentence for a mistake in it */
export function readOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "5" },
      only: { type: "string", default: backends.join() },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      containers: { type: "string", default: "30" },
      hands: { type: "string", default: "4" },
      probes: { type: "string", default: "10" },
      logs: { type: "string" },
      cli: { type: "string", default: join(import.meta.dirname, "../../dist/cli.js") },
    },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: not a number of minutes`);
  if (!Number.isInteger(seed)) throw new Error(`--seed ${values.seed}: not a whole number`);
  const only = values.only.split(",").map((name) => {
    const backend = backends.find((one) => one === name);
    if (!backend) throw new Error(`--only ${name}: not one of ${backends.join(", ")}`);
    return backend;
  });
  const time = (minutes * 60_000) / only.length;
  return {
    time,
    only,
    seed,
    containers: countOption(values, "containers"),
    hands: countOption(values, "hands"),
    probes: countOption(values, "probes", { least: 0 }),
    logs: values.logs,
    cli: resolve(values.cli),
  };
}
