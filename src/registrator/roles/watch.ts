import { deadline, monotonic, pause } from "../../clock.ts";
import type { Probe } from "./probe.ts";
import {
  afterProbe,
  awaitsConfirmation,
  equalStanding,
  type Finding,
  type Standing,
  type Thresholds,
  unprobed,
} from "./standing.ts";

/** One server whose role is followed. */
export interface Followed {
  /** Of the instance. */
  readonly id: string;
  /** Of everything that makes it another server, or another life of it: a new one begins as unknown. */
  readonly life: string;
  connect(): Probe;
}

/** Times in ms. */
export interface Pace extends Thresholds {
  readonly interval: number;
  readonly timeout: number;
}

/** Ms between the probe that finds a new master and the one that confirms it. */
const confirmation = 100;

/** The roles that the servers of this host say of themselves. */
export interface RoleWatch {
  /** Follows exactly these from now on. What was known of those that stay the same stays known. */
  follow(servers: readonly Followed[]): void;
  /** Undefined for what is not followed. */
  standing(id: string): Standing | undefined;
  close(): void;
}

/** Probes each server on its own, so that one that hangs delays nobody. `changed` is told of each new standing. */
export function watchRoles(pace: Pace, changed: () => void): RoleWatch {
  const watched = new Map<string, { life: string; standing: Standing; ended: AbortController }>();

  const begin = ({ id, life, connect }: Followed) => {
    const one = { life, standing: unprobed, ended: new AbortController() };
    watched.set(id, one);
    const publish = (standing: Standing) => {
      const before = one.standing;
      one.standing = standing;
      if (!equalStanding(before, standing)) changed();
      return standing;
    };
    void probeUntil(one.ended.signal, connect, pace, publish);
  };
  const end = (id: string) => {
    watched.get(id)?.ended.abort();
    watched.delete(id);
  };

  return {
    follow(servers) {
      const wanted = new Map(servers.map((server) => [server.id, server]));
      for (const [id, { life }] of watched) if (wanted.get(id)?.life !== life) end(id);
      for (const server of servers) if (!watched.has(server.id)) begin(server);
    },
    standing: (id) => watched.get(id)?.standing,
    close() {
      for (const id of [...watched.keys()]) end(id);
    },
  };
}

async function probeUntil(
  ended: AbortSignal,
  connect: () => Probe,
  pace: Pace,
  publish: (standing: Standing) => Standing,
): Promise<void> {
  const probe = connect();
  let standing = unprobed;
  while (!ended.aborted) {
    const began = monotonic();
    const outcome = await outcomeOf(probe, deadline(pace.timeout, ended));
    if (ended.aborted) break;
    standing = publish(afterProbe(standing, outcome, pace));
    // Spread, so that many registrators do not ask in step.
    const next = awaitsConfirmation(standing) ? confirmation : pace.interval * (0.9 + 0.2 * Math.random());
    await pause(next - (monotonic() - began), ended);
  }
  probe.close();
}

async function outcomeOf(probe: Probe, signal: AbortSignal): Promise<Finding | { problem: string }> {
  try {
    return await probe.ask(signal);
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

/** One line; Node.js gives an error without words where each of several addresses failed. */
function problemOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return problemOf(error.errors[0]);
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s+/g, " ").slice(0, 300);
}
