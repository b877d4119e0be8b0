import { randomUUID } from "node:crypto";
import type { Backend } from "../backends/backend.ts";
import { deadline, monotonic } from "../clock.ts";
import { settle } from "../commands/settle.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";
import { lookAtTurns } from "./turns.ts";

/** ms that a backend has for each answer. */
const patience = 5_000;

/** Who asks, and what for. */
export interface Asking {
  /** The name of this host, as far as it is known. */
  readonly node: string;
  /** Seconds above 0, as a registrator would ask for them. */
  readonly ttl: number;
  /** Whether templates are rendered from it here. */
  readonly reads: boolean;
  /** The names of the turns that its targets take to reload. */
  readonly turns: readonly string[];
  readonly stop: AbortSignal;
}

/**
 * Whether a backend answers, and lets itself be read and written. To try that, a host is claimed whose name nobody
 * has, and given up again at once; the same with a lock where reloads take turns.
 */
export async function lookAtBackend(backend: Backend, asking: Asking): Promise<readonly Finding[]> {
  const read = await reading(backend, asking);
  if (read.level !== "ok") return [read];
  const { turns, node, stop } = asking;
  const contender = `${node}-doctor:${randomUUID()}`;
  const all = turns.map((name) => lookAtTurns(backend, { name, contender, stop }));
  return [read, await writing(backend, asking), ...(await Promise.all(all))];
}

const aboutOf = ({ title }: Backend) => `backend ${title}`;

async function reading(backend: Backend, { reads, stop }: Asking): Promise<Finding> {
  const observation = backend.observe({ services: "all" });
  const began = monotonic();
  const answer = () => {
    const observed = observation.current();
    return observed.known ? observed.value : undefined;
  };
  try {
    const { services } = await settle(observation, backend.title, answer, patience, stop);
    const ms = Math.round(monotonic() - began);
    const instances = [...services.values()].reduce((sum, all) => sum + all.length, 0);
    const held = `${counted(services.size, "service")}, ${counted(instances, "instance")}`;
    return ok(aboutOf(backend), `answers after ${ms} ms: ${held}`);
  } catch (error) {
    const means = reads ? "templates keep the last good file, and get no new one" : "nothing is registered";
    return troubleOf(aboutOf(backend), "wrong", error, means, "start it, or correct its URL");
  } finally {
    await observation.close();
  }
}

async function writing(backend: Backend, { node, ttl, stop }: Asking): Promise<Finding> {
  const about = aboutOf(backend);
  const run = randomUUID();
  const lease = backend.lease({ node: `${node}-doctor-${run.slice(0, 8)}`, engine: "doctor", run }, ttl);
  const began = monotonic();
  try {
    const { ttl: granted } = await lease.renew(deadline(patience, stop));
    const ms = Math.round(monotonic() - began);
    return ok(about, `can be written: a claim takes ${ms} ms and outlives ${granted} s without a beat`);
  } catch (error) {
    const means =
      "a registrator with these rights registers nothing, unless they are for one host by its name; a templater reads all the same";
    return troubleOf(about, "warning", error, means, "see `portolan acl` for the rights that it needs");
  } finally {
    await lease.release(deadline(patience)).catch(() => {});
  }
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
