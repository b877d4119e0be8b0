// Requests at a rate, whatever the answers take, as long as the machine keeps up: GET and POST, each one counted.
import { Agent, request } from "node:http";

/** What became of the requests. */
export interface LoadResult {
  readonly sent: number;
  readonly answered: number;
  /** Why each one that was not answered as it should be was not. */
  readonly failed: readonly string[];
  /** ms of the slowest answer. */
  readonly slowest: number;
}

/** Load that runs until it is stopped. */
export interface SteadyLoad {
  sent(): number;
  /** Sends no more, and waits until every request has its end. */
  stop(): Promise<LoadResult>;
}

/** How much is asked for. */
export interface LoadOptions {
  readonly port: number;
  readonly host: string;
  /** Requests per second, of which at most those of one second are under way; every fourth is a POST. */
  readonly rate: number;
  /** Connections that stay open, at most. */
  readonly connections: number;
  /** Whether they stay open; else each request has its own, as many as are under way. Default true. */
  readonly keepAlive?: boolean;
}

/** ms between two moments at which requests are sent. */
const tick = 5;

/** Starts it. */
export function startSteadyLoad(options: LoadOptions): SteadyLoad {
  const { port, host, rate, connections, keepAlive = true } = options;
  // In turn, so that none is idle for so long that the load balancer closes it. An agent with a bound keeps connections
  // for the requests that wait, whatever it is told.
  const maxSockets = keepAlive ? connections : Number.POSITIVE_INFINITY;
  const agent = new Agent({ keepAlive, maxSockets, scheduling: "fifo" });
  const failed: string[] = [];
  const open = new Set<Promise<void>>();
  let [sent, answered, slowest] = [0, 0, 0];

  const one = (number: number) => {
    const body = number % 4 === 0 ? `request ${number} `.repeat(40) : undefined;
    const start = performance.now();
    const done = new Promise<void>((resolve) => {
      const fail = (why: string) => {
        failed.push(`${body === undefined ? "GET" : "POST"}: ${why}`);
        resolve();
      };
      const asked = request(
        {
          ...{ host: "127.0.0.1", port, path: "/", agent, timeout: 20_000 },
          method: body === undefined ? "GET" : "POST",
          headers: { host, ...(body !== undefined && { "content-length": Buffer.byteLength(body) }) },
        },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8");
          answer.on("data", (chunk: string) => {
            text += chunk;
          });
          answer.once("error", ({ message }) => fail(message));
          answer.once("end", () => {
            slowest = Math.max(slowest, performance.now() - start);
            if (answer.statusCode !== 200) return fail(`status ${answer.statusCode}`);
            if (body === undefined ? text === "" : text !== body) return fail("another body");
            answered += 1;
            resolve();
          });
        },
      );
      asked.once("timeout", () => asked.destroy(new Error("no answer within 20 s")));
      asked.once("error", ({ message }) => fail(message));
      asked.end(body);
    });
    open.add(done);
    void done.then(() => open.delete(done));
  };

  let [before, due] = [performance.now(), 0];
  const timer = setInterval(() => {
    const now = performance.now();
    // What a machine has not managed for longer than a second is not made up for.
    due = Math.min(due + ((now - before) / 1000) * rate, rate);
    before = now;
    for (; due >= 1 && open.size < rate; due -= 1) {
      sent += 1;
      one(sent);
    }
  }, tick);

  return {
    sent: () => sent,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
      return { sent, answered, failed, slowest };
    },
  };
}
