import { monotonic } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import type { Answer, ConsulApi, Question } from "./api.ts";
import { aclRule, needs } from "./rights.ts";

/** ms for which an answer about the token's rights counts while nothing else happens. */
const lasting = 60_000;

/**
 * Tells an answer that is empty because nothing is there from one that hides what the token may not read: Consul
 * leaves that out without a word. The token's rights are asked for when an answer is empty for the first time, when
 * it has become so, and now and then while it stays so. An old Consul that cannot tell leaves it doubtful.
 *
 * `ask` is the query about the service, or with an empty name about all names; what comes back is the same, which
 * also rejects with BACKEND_DENIED.
 */
export function createBelief(
  api: ConsulApi,
  service: string,
  ask: (question: Question, signal: AbortSignal) => Promise<Answer>,
): (question: Question, signal: AbortSignal) => Promise<Answer> {
  let asked: number | undefined;
  let wasThere = false;
  let isDoubtful = false;
  return async (question, signal) => {
    const answer = await ask(question, signal);
    if (!isEmpty(answer.body)) {
      asked = undefined;
      wasThere = true;
      return answer;
    }
    if (asked !== undefined && monotonic() - asked < lasting) return { ...answer, isDoubtful };
    const rights = [
      { Resource: "service", Access: "read", Segment: service },
      // Instances on nodes that may not be read are left out too.
      ...(service === "" ? [] : [{ Resource: "node", Access: "read", Segment: "" } as const]),
    ] as const;
    const may = await api.may(rights, signal);
    if (may === false) {
      const what = service === "" ? "the services" : `service ${service} on all nodes`;
      const rules =
        service === ""
          ? [aclRule("service_prefix", "", "read")]
          : [aclRule("service", service, "read"), aclRule("node_prefix", "", "read")];
      const message = `the token has no right to read ${what} in Consul: ${needs(...rules)}`;
      throw new PortolanError("BACKEND_DENIED", message);
    }
    if (wasThere) {
      // The right may have come back after the answer.
      const again = await ask({ ...question, index: 0 }, signal);
      if (!isEmpty(again.body)) return again;
    }
    wasThere = false;
    asked = monotonic();
    isDoubtful = may === undefined;
    return { ...answer, isDoubtful };
  };
}

function isEmpty(body: unknown): boolean {
  return typeof body === "object" && body !== null && Object.keys(body).length === 0;
}
