import type { Log } from "../log.ts";
import type { Problem } from "../source.ts";
import type { AddressPolicy } from "./address/address.ts";
import type { Remark } from "./rules/outcome.ts";

/** Tells each thing once when it arises, and again only after it had gone. */
export interface Reporter {
  docker(problem: Problem | undefined, known: boolean): void;
  hostAddress(address: AddressPolicy["hostAddress"]): void;
  remarks(remarks: readonly Remark[]): void;
  /** Containers that Docker cannot describe, with the reason. */
  unread(containers: ReadonlyMap<string, string>): void;
  /** The remarks of now. */
  current(): readonly Remark[];
  /** What stands in the way of being in sync, in sentences. */
  standing(): readonly string[];
}

/** A reporter that has told nothing yet. */
export function createReporter(log: Log): Reporter {
  let told = new Set<string>();
  let remarks: readonly Remark[] = [];
  let toldUnread: ReadonlyMap<string, string> = new Map();
  let dockerProblem: Problem["kind"] | undefined;
  let connected = false;
  let address: string | undefined;

  return {
    docker(problem, known) {
      // One outage has many words: a stream that breaks off, then a socket that refuses, then one that is gone.
      if (problem && problem.kind !== dockerProblem) {
        const next = "what is registered stays as it is, and Docker is tried until it answers";
        log.error({ err: problem.error }, `Docker is not reached; ${next}`);
      }
      if (!problem && known && (dockerProblem !== undefined || !connected)) {
        log.info({}, "Docker is watched");
        connected = true;
      }
      dockerProblem = problem?.kind;
    },
    hostAddress(next) {
      const unknown = typeof next === "string" ? undefined : next.unknown;
      if (unknown !== undefined && unknown !== address) {
        log.error({ code: "HOST_ADDRESS" }, `the host's address is not known: ${unknown}`);
      }
      address = unknown;
    },
    remarks(next) {
      remarks = next;
      const seen = new Set<string>();
      for (const remark of next) {
        const key = JSON.stringify(remark);
        seen.add(key);
        if (told.has(key)) continue;
        const { container, port, reason } = remark;
        const fields = { container, ...(port !== undefined && { port }) };
        if (remark.kind === "mistake") log.warn({ ...fields, code: remark.code }, reason);
        else log.info(fields, `not registered: ${reason}`);
      }
      told = seen;
    },
    unread(next) {
      for (const [id, reason] of next) {
        if (!toldUnread.has(id))
          log.error({ code: "DOCKER_UNREACHABLE" }, `${reason}; its records stay as they are`);
      }
      toldUnread = next;
    },
    current: () => remarks,
    standing: () => (address === undefined ? [] : [`the host's address is not known: ${address}`]),
  };
}
