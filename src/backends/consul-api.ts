import { EventEmitter, setMaxListeners } from "node:events";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import Consul from "consul";
import { after } from "../clock.ts";
import { coded, PortolanError } from "../errors.ts";

/** How long Consul may hold a blocking query, and how much longer than due any answer may take; in ms. */
export interface Timing {
  readonly wait: number;
  readonly patience: number;
}

/** Where the agent is and how it is read. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** The URL for messages. */
  readonly title: string;
  readonly token?: string | undefined;
  readonly dc?: string | undefined;
  readonly stale: boolean;
}

/** What is asked of a blocking query: nothing newer than `index` is waited for when that is 0. */
export interface Question {
  readonly index: number;
  /** Asks the leader, who confirms with the other servers that it leads. */
  readonly consistent: boolean;
}

/** The answer to a blocking query. */
export interface Answer {
  readonly index: number;
  readonly body: unknown;
}

/**
 * The calls of Consul's HTTP API that this backend makes; what they answer is the parsed JSON, undefined for
 * what is not there. Each ends within its deadline and rejects with BACKEND_UNREACHABLE, BACKEND_DENIED,
 * FAILED (Consul refuses the request as such) or ABORTED.
 */
export interface ConsulApi {
  /** `/v1/health/service/<service>` */
  health(service: string, question: Question, signal: AbortSignal): Promise<Answer>;
  /** `/v1/catalog/services` */
  names(question: Question, signal: AbortSignal): Promise<Answer>;
  agentSelf(signal: AbortSignal): Promise<unknown>;
  /** The local agent's services whose meta `key` is `value`, and perhaps others, by id. */
  agentServices(key: string, value: string, signal: AbortSignal): Promise<unknown>;
  /** A service of the local agent with its checks. */
  agentHealth(id: string, signal: AbortSignal): Promise<unknown>;
  /** Creates or replaces a service. `replaceChecks` also deletes its checks that `body` does not list. */
  register(body: unknown, replaceChecks: boolean, signal: AbortSignal): Promise<void>;
  /** An absent service is fine. */
  deregister(id: string, signal: AbortSignal): Promise<void>;
  /** Beats once. False when the agent has no TTL check of that id. */
  pass(check: string, signal: AbortSignal): Promise<boolean>;
  /** Cancels every call and closes the connections. */
  close(): void;
}

/** What the types of the package leave out: the requests that its named calls make, and papi's hook into them. */
interface Requests {
  _get(request: object): Promise<Response>;
  _put(request: object): Promise<Response>;
  _ext(event: "onRequest", step: (request: { transport: Transport }, next: () => void) => void): void;
}
type Response = IncomingMessage & { readonly body?: unknown };
interface Transport {
  request(options: http.RequestOptions): ClientRequest;
}

/** The API of one agent. Asks nothing by itself. */
export function createConsulApi(address: Address, timing: Timing): ConsulApi {
  const { host, port, title } = address;
  const running = new Set<() => void>();
  let closed = false;
  const options = {
    host: host.includes(":") ? `[${host}]` : host,
    port,
    agent: new http.Agent({ keepAlive: true }),
    headers: address.token === undefined ? {} : { "x-consul-token": address.token },
  };
  const client = new Consul(options);
  const requests = client as unknown as Requests;

  // Two faults of papi 1.1.2, which the package is built on: it hands "[::1]" to the resolver, brackets and
  // all; and it does not listen to the response's own end, so that an answer cut off in its middle would
  // count as pending until the deadline.
  requests._ext("onRequest", (request, next) => {
    const { transport } = request;
    request.transport = {
      request(sent) {
        const outgoing = transport.request({ ...sent, hostname: host });
        outgoing.on("response", (answer) => answer.on("error", (error) => outgoing.emit("error", error)));
        return outgoing;
      },
    };
    next();
  });

  /** Runs one call of the package, which its `ctx` can cancel, under a deadline and the caller's signal. */
  const call = <T>(signal: AbortSignal, run: (ctx: EventEmitter) => Promise<T>, held = 0): Promise<T> => {
    if (closed || signal.aborted) return Promise.reject(new PortolanError("ABORTED", "cancelled"));
    const within = held + timing.patience;
    const ctx = new EventEmitter();
    const cancel = () => void ctx.emit("cancel");
    let late = false;
    const disarm = after(within, () => {
      late = true;
      cancel();
    });
    // One signal may cancel a whole pass over many records; ten listeners are no leak.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", cancel);
    running.add(cancel);
    return run(ctx)
      .catch((cause: unknown) => {
        if (closed || signal.aborted) throw new PortolanError("ABORTED", "cancelled", { cause });
        if (!late) throw codedFailure(title, cause);
        const message = `${title}: no answer within ${within / 1000} s`;
        throw new PortolanError("BACKEND_UNREACHABLE", message, { cause });
      })
      .finally(() => {
        disarm();
        signal.removeEventListener("abort", cancel);
        running.delete(cancel);
      });
  };

  /** Runs a read that Consul may hold until something changes. */
  const blocking = async (
    question: Question,
    signal: AbortSignal,
    read: (how: object) => Promise<unknown>,
  ): Promise<Answer> => {
    const { index, consistent } = question;
    const { dc, stale } = address;
    const how = { consistent, stale, dc, ...(index > 0 && { index, wait: `${timing.wait}ms` }) };
    // Consul adds up to a sixteenth to the wait, so that not all queries end at once.
    const held = index > 0 ? (timing.wait * 17) / 16 : 0;
    const ask = (ctx: EventEmitter) => read({ ...how, ctx: Object.assign(ctx, { includeResponse: true }) });
    const [{ headers }, body] = (await call(signal, ask, held)) as [Response, unknown];
    const answered = Number(headers["x-consul-index"]);
    if (!Number.isInteger(answered)) {
      throw new PortolanError(
        "BACKEND_UNREACHABLE",
        `${title}: no X-Consul-Index in the answer; is it Consul?`,
      );
    }
    // Consul from 1.11 on says so when the token's rights are why nothing is there.
    if (headers["x-consul-results-filtered-by-acls"] === "true" && isEmpty(body)) {
      throw new PortolanError("BACKEND_DENIED", `${title}: the token has no right to read this`);
    }
    return { index: answered, body };
  };

  return {
    health: (service, question, signal) =>
      blocking(question, signal, (how) => client.health.service({ service, ...how })),
    names: (question, signal) => blocking(question, signal, (how) => client.catalog.service.list({ ...how })),
    agentSelf: (signal) => call(signal, (ctx) => client.agent.self({ ctx } as object)),
    agentServices(key, value, signal) {
      // Consul's filters know no escapes: what cannot be said in one is left to the caller.
      const filter = /["\\]/.test(value) ? {} : { filter: `Meta["${key}"] == "${value}"` };
      return call(signal, (ctx) => client.agent.service.list({ ...filter, ctx } as object));
    },
    // The package has no call for this one.
    agentHealth: (id, signal) =>
      call(signal, async (ctx) => {
        const request = { path: "/agent/health/service/id/{id}", params: { id }, ctx };
        // The status repeats the health: 429 is warning, 503 critical or maintenance.
        const answer = await requests._get(request).catch(otherwise([404, 429, 503]));
        return answer.statusCode === 404 ? undefined : answer.body;
      }),
    // The package's own call drops the weights and knows no replace-existing-checks.
    register: (body, replaceChecks, signal) =>
      call(signal, async (ctx) => {
        const query = replaceChecks ? { "replace-existing-checks": "true" } : {};
        await requests._put({ path: "/agent/service/register", query, body, type: "json", ctx });
      }),
    deregister: (id, signal) => call(signal, (ctx) => client.agent.service.deregister({ id, ...{ ctx } })),
    pass: (id, signal) =>
      call(signal, (ctx) =>
        client.agent.check.pass({ id, ...{ ctx } }).then(
          () => true,
          (error: unknown) => {
            if (isUnknownCheck(error)) return false;
            throw error;
          },
        ),
      ),
    close() {
      closed = true;
      for (const cancel of [...running]) cancel();
      client.destroy();
    },
  };
}

/** What papi rejects with when the answer's status is not 2xx. */
interface Refusal extends Error {
  readonly response: Response;
}

/** A broken answer has a `response` too, but no `isResponse`. */
function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && "isResponse" in error && "response" in error;
}

/** Turns the refusals with one of the statuses into the answers that they are. */
function otherwise(statuses: readonly number[]): (error: unknown) => Response {
  return (error) => {
    if (isRefusal(error) && statuses.includes(error.response.statusCode ?? 0)) return error.response;
    throw error;
  };
}

/** What Consul says; papi's message holds it only when it is short. */
function said(refusal: Refusal): string {
  const { body } = refusal.response;
  return typeof body === "string" && body.trim() !== "" ? body.trim().slice(0, 300) : refusal.message;
}

/** Consul up to 1.10 answers 500 for a check that it does not know, later ones 404. */
function isUnknownCheck(error: unknown): boolean {
  if (!isRefusal(error)) return false;
  const status = error.response.statusCode;
  return status === 404 || (status === 500 && /associated TTL|unknown check/i.test(said(error)));
}

function codedFailure(title: string, error: unknown): PortolanError {
  if (!isRefusal(error)) return coded("BACKEND_UNREACHABLE", error, `${title}: `);
  const status = error.response.statusCode ?? 0;
  const message = `${title}: ${said(error)} (${status})`;
  if (status === 401 || status === 403) return new PortolanError("BACKEND_DENIED", message, { cause: error });
  const ours = status < 500 && status !== 408 && status !== 429;
  return new PortolanError(ours ? "FAILED" : "BACKEND_UNREACHABLE", message, { cause: error });
}

function isEmpty(body: unknown): boolean {
  return typeof body === "object" && body !== null && Object.keys(body).length === 0;
}
