// Requests at a steady pace, every one of them accounted for.
import { request } from "node:http";
import { now } from "./journal.ts";

/** What became of a request; moments as in the journal. */
export interface Outcome {
  readonly sentAt: number;
  readonly endedAt: number;
  /** What a 200 answer said: the name of the container that gave it. */
  readonly by?: string;
  /** Why it failed, in words. */
  readonly failure?: string;
}

/** A stream of requests to one virtual host. */
export interface Traffic {
  readonly host: string;
  /** Of all requests that have ended, in the order of their ends. */
  readonly outcomes: readonly Outcome[];
  /** Sends no more, and waits for the answers that are outstanding. Again: nothing. */
  stop(): Promise<void>;
}

/** An answer of the load balancer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Who gave an answer; undefined when it was none that was asked for. */
export type By = (answer: Answer) => string | undefined;

/** ms between two requests. */
const pace = 10;
/** ms that an answer may take. */
const patience = 5_000;

/**
 * Sends a request every 10 ms, whether the ones before were answered or not, each on a connection of its own: so
 * that each one is a new decision of the load balancer. The containers of the demo answer 200 and their names.
 */
export function startTraffic(port: number, host: string, by: By = named): Traffic {
  const outcomes: Outcome[] = [];
  const outstanding = new Set<Promise<void>>();
  const send = async () => {
    const sentAt = now();
    const outcome = await askOnce(port, host).then(
      (answer) => {
        const who = by(answer);
        return who === undefined ? { failure: `status ${answer.status}` } : { by: who };
      },
      (error: Error) => ({ failure: error.message }),
    );
    outcomes.push({ sentAt, endedAt: now(), ...outcome });
  };
  const timer = setInterval(() => {
    const sent: Promise<void> = send().finally(() => outstanding.delete(sent));
    outstanding.add(sent);
  }, pace);
  return {
    host,
    outcomes,
    async stop() {
      clearInterval(timer);
      await Promise.all(outstanding);
    },
  };
}

const named: By = ({ status, body }) => (status === 200 ? body.trim() : undefined);

/** Sends one request. */
export function askOnce(port: number, host: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port, headers: { host }, agent: false, timeout: patience },
      (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (text: string) => {
          body += text;
        });
        answer.on("error", reject);
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      },
    );
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${patience} ms`)));
    asked.on("error", reject);
    asked.end();
  });
}
