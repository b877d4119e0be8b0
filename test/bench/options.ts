import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { countOption } from "../soak/count-option.ts";
import { type BusyStore, busyStores } from "./registrators/busy-server.ts";

/** What can be benched: the stores, and `memory` for the agent from end to end. */
export const subjects = ["file", "consul", "etcd", "zookeeper", "memory"] as const;
export type Subject = (typeof subjects)[number];

/**
 * What `--only` takes: the subjects, `render`, which needs no server, `registrators`, which are many on each store
 * that is named with them, or on both where none is, `idle`, which is a host with each subject that is named with
 * it, or with all where none is, and `image`.
 */
const parts = [...subjects, "render", "registrators", "idle", "image"] as const;

/** What a run of the bench is told. */
export interface BenchOptions {
  /** Samples of each latency, for product and floor; 0 leaves all but the scale out. */
  readonly n: number;
  readonly only: readonly Subject[];
  /** Whether rendering in this process is measured: `render` among what is benched. */
  readonly render: boolean;
  /** Containers of the part that measures many of them; 0 leaves it out. */
  readonly scale: number;
  /** Services, of ten instances, of the part that reads many of them from each store; 0 leaves it out. */
  readonly registry: number;
  /** Registrators of the part in which many of them ask one store, and the stores of it; none leaves it out. */
  readonly registrators: { readonly count: number; readonly stores: readonly BusyStore[] };
  /** With what a host that does nothing is measured; none leaves it out. */
  readonly idle: readonly Subject[];
  /** Whether the image is built and weighed: `image` among what is benched. */
  readonly image: boolean;
  /** Where the results go as JSON, besides the table. */
  readonly json: string | undefined;
  /** The built product. */
  readonly cli: string;
}

/** Reads the command line. @throws an error in one sentence for a mistake in it */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      n: { type: "string", default: "30" },
      scale: { type: "string", default: "500" },
      registry: { type: "string", default: "1000" },
      registrators: { type: "string", default: "1000" },
      only: { type: "string", default: parts.join() },
      json: { type: "string" },
      cli: { type: "string", default: join(import.meta.dirname, "../../dist/cli.js") },
    },
  });
  const counted = (name: "n" | "scale" | "registry" | "registrators", what: string) =>
    countOption(values, name, { least: 0, what });
  const n = counted("n", "samples; 0 leaves the latencies out");
  const scale = counted("scale", "containers");
  const registry = counted("registry", "services");
  const count = counted("registrators", "registrators");
  const chosen = values.only.split(",").map((name) => {
    const part = parts.find((one) => one === name);
    if (!part) throw new Error(`--only ${name}: not one of ${parts.join(", ")}`);
    return part;
  });
  const only = subjects.filter((subject) => chosen.includes(subject));
  const busy = busyStores.filter((name) => only.length === 0 || only.includes(name));
  return {
    n,
    scale,
    registry,
    only,
    render: chosen.includes("render"),
    registrators: { count, stores: count > 0 && chosen.includes("registrators") ? busy : [] },
    idle: chosen.includes("idle") ? (only.length > 0 ? only : subjects) : [],
    image: chosen.includes("image"),
    json: values.json,
    cli: resolve(values.cli),
  };
}
