import { EventEmitter, setMaxListeners } from "node:events";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import Consul from "consul";
import { after } from "../clock.ts";
import { coded, PortolanError } from "../errors.ts";
import type { Address, Tls } from "./consul-address.ts";

/** How long Consul may hold a blocking query, and how much longer than due any answer may take; in ms. */
export interface Timing {
  readonly wait: number;
  readonly patience: number;
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
  /** The local agent's services by id: all of them, or those with this meta, and perhaps others. */
  agentServices(meta: readonly [key: string, value: string] | "all", signal: AbortSignal): Promise<unknown>;
  /** The local agent's checks whose id begins with `prefix`, a word, by id. */
  agentChecks(prefix: string, signal: AbortSignal): Promise<unknown>;
  /** A service of the local agent with its checks. */
  agentHealth(id: string, signal: AbortSignal): Promise<unknown>;
  /** Creates or replaces a service. `replaceChecks` also deletes its checks that `body` does not list. */
  register(body: unknown, replaceChecks: boolean, signal: AbortSignal): Promise<void>;
  /** An absent service is fine. */
  deregister(id: string, signal: AbortSignal): Promise<void>;
  /** Beats once. False when the agent has no TTL check of that id. */
  pass(check: string, signal: AbortSignal): Promise<boolean>;
  /** Beats once, with what it says. False when the agent has no TTL check of that id. */
  update(
    check: string,
    status: "passing" | "critical",
    output: string,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** An absent check is fine. */
  deregisterCheck(id: string, signal: AbortSignal): Promise<void>;
  /** `/v1/kv/<prefix>?recurse`: the keys that begin with the prefix, values decoded. */
  tree(prefix: string, question: Question, signal: AbortSignal): Promise<Answer>;
  /** Whether the token may read the keys that begin with the prefix; true where Consul does not tell. */
  mayReadTree(prefix: string, signal: AbortSignal): Promise<boolean>;
  /** Creates a session without checks and lock delay, at whose end its keys are deleted. `ttl` in seconds. */
  beginSession(name: string, ttl: number, signal: AbortSignal): Promise<unknown>;
  /** Beats once. False when there is no such session any more. */
  renewSession(id: string, signal: AbortSignal): Promise<boolean>;
  /** An absent one is fine. */
  endSession(id: string, signal: AbortSignal): Promise<void>;
  /** `/v1/txn`. Undefined: an operation did not hold, and nothing was done. */
  transaction(operations: readonly unknown[], signal: AbortSignal): Promise<unknown>;
  /** Cancels every call and closes the connections. */
  close(): void;
}

/** What the types of the package leave out: the requests that its named calls make, and papi's hook into them. */
interface Requests {
  _get(request: object): Promise<Response>;
  _put(request: object): Promise<Response>;
  _post(request: object): Promise<Response>;
  _ext(event: "onRequest", step: (request: { transport: Transport }, next: () => void) => void): void;
}
type Response = IncomingMessage & { readonly body?: unknown };
interface Transport {
  request(options: http.RequestOptions): ClientRequest;
}

/** The API of one agent. Asks nothing by itself. */
export function createConsulApi(address: Address, timing: Timing): ConsulApi {
  const { host, port, title, tls, socket } = address;
  const running = new Set<() => void>();
  let closed = false;
  let token: string | undefined;
  const options = {
    host: host.includes(":") ? `[${host}]` : host,
    port,
    secure: tls !== undefined,
    agent: tls
      ? new https.Agent({ keepAlive: true, ...tlsOptions(tls) })
      : new http.Agent({ keepAlive: true }),
  };
  const client = new Consul(options as object);
  const requests = client as unknown as Requests;
  const where = [
    ...(address.namespace === undefined ? [] : [`ns=${encodeURIComponent(address.namespace)}`]),
    ...(address.partition === undefined ? [] : [`partition=${encodeURIComponent(address.partition)}`]),
  ].join("&");

  // Two faults of papi 1.1.2, which the package is built on: it hands "[::1]" to the resolver, brackets and
  // all; and it does not listen to the response's own end, so that an answer cut off in its middle would
  // count as pending until the deadline.
  requests._ext("onRequest", (request, next) => {
    const { transport } = request;
    request.transport = {
      request(sent) {
        const path = where === "" ? sent.path : `${sent.path}${sent.path?.includes("?") ? "&" : "?"}${where}`;
        const headers = { ...sent.headers, ...(token !== undefined && { "x-consul-token": token }) };
        const outgoing = transport.request({
          ...sent,
          path,
          headers,
          ...(socket === undefined ? { hostname: host } : { socketPath: socket }),
        });
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
    const ctx = Object.assign(new EventEmitter(), { canceled: false });
    const cancel = () => {
      ctx.canceled = true; // For a request that has not begun yet.
      ctx.emit("cancel");
    };
    let late = false;
    const disarm = after(within, () => {
      late = true;
      cancel();
    });
    // One signal may cancel a whole pass over many records; ten listeners are no leak.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", cancel);
    running.add(cancel);
    const begin = async () => {
      token = await address.token?.();
      return run(ctx);
    };
    return begin()
      .catch((cause: unknown) => {
        if (closed || signal.aborted) throw new PortolanError("ABORTED", "cancelled", { cause });
        if (!late) throw codedFailure(address, cause);
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
    agentServices(meta, signal) {
      // Consul's filters know no escapes: what cannot be said in one is left to the caller.
      const filter =
        meta === "all" || /["\\]/.test(meta[1]) ? {} : { filter: `Meta["${meta[0]}"] == "${meta[1]}"` };
      return call(signal, (ctx) => client.agent.service.list({ ...filter, ctx } as object));
    },
    agentChecks(prefix, signal) {
      const filter = `CheckID matches "^${prefix}"`;
      return call(signal, (ctx) => client.agent.check.list({ filter, ctx } as object));
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
    pass: (id, signal) => call(signal, (ctx) => isKnown(client.agent.check.pass({ id, ...{ ctx } }))),
    // The package has no call for this one.
    update: (id, status, output, signal) =>
      call(signal, (ctx) => {
        const body = { Status: status, Output: output };
        return isKnown(
          requests._put({ path: "/agent/check/update/{id}", params: { id }, body, type: "json", ctx }),
        );
      }),
    deregisterCheck: (id, signal) =>
      call(signal, async (ctx) => void (await isKnown(client.agent.check.deregister({ id, ...{ ctx } })))),
    tree: (prefix, question, signal) =>
      blocking(question, signal, (how) => client.kv.get({ key: prefix, recurse: true, ...how })),
    mayReadTree: (prefix, signal) =>
      call(signal, async (ctx) => {
        const body = [{ Resource: "key", Access: "read", Segment: prefix }];
        const request = { path: "/internal/acl/authorize", body, type: "json", ctx };
        // 401: there are no ACLs. 404 and 405: an older or newer Consul.
        const answer = await requests._post(request).catch(otherwise([401, 404, 405]));
        const [verdict] = Array.isArray(answer.body) ? answer.body : [];
        return (verdict as { readonly Allow?: unknown } | undefined)?.Allow !== false;
      }),
    async beginSession(name, ttl, signal) {
      const terms = { ttl: `${ttl}s`, behavior: "delete", lockdelay: "0s", checks: [] };
      return call(signal, (ctx) => client.session.create({ name, ...terms, ...{ ctx } } as object));
    },
    renewSession: (id, signal) =>
      call(signal, async (ctx) => {
        const request = { path: "/session/renew/{id}", params: { id }, ctx };
        const answer = await requests._put(request).catch(otherwise([404]));
        return answer.statusCode !== 404;
      }),
    endSession: (id, signal) =>
      call(signal, async (ctx) => void (await client.session.destroy({ id, ...{ ctx } }))),
    transaction: (operations, signal) =>
      call(signal, async (ctx) => {
        const request = { path: "/txn", body: operations, type: "json", ctx };
        const answer = await requests._put(request).catch(otherwise([409]));
        return answer.statusCode === 409 ? undefined : answer.body;
      }),
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
  const text = typeof body === "string" || Buffer.isBuffer(body) ? body.toString().trim() : "";
  return text === "" ? refusal.message : text.slice(0, 300);
}

/** False when the agent does not know the check. */
function isKnown(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    (error: unknown) => {
      if (isUnknownCheck(error)) return false;
      throw error;
    },
  );
}

/** Consul up to 1.10 answers 500 for a check that it does not know, later ones 404. */
function isUnknownCheck(error: unknown): boolean {
  if (!isRefusal(error)) return false;
  const status = error.response.statusCode;
  return status === 404 || (status === 500 && /associated TTL|unknown check/i.test(said(error)));
}

function codedFailure({ title, tls }: Address, error: unknown): PortolanError {
  if (!isRefusal(error)) {
    const distrust = tls && distrustOf(error, tls);
    if (distrust === undefined) return coded("BACKEND_UNREACHABLE", error, `${title}: `);
    return new PortolanError("BACKEND_UNREACHABLE", `${title}: ${distrust}`, { cause: error });
  }
  const status = error.response.statusCode ?? 0;
  const message = `${title}: ${said(error)} (${status})`;
  if (status === 401 || status === 403) return new PortolanError("BACKEND_DENIED", message, { cause: error });
  const ours = status < 500 && status !== 408 && status !== 429;
  return new PortolanError(ours ? "FAILED" : "BACKEND_UNREACHABLE", message, { cause: error });
}

/** Why one end does not trust the other, and what to do; undefined for any other failure. */
function distrustOf(error: unknown, { trusted, cert }: Tls): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error ? String(error.code) : "";
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_(SIGNATURE|UNTRUSTED)/.test(code)) {
    const wayOut = "give the right CA with ?ca= or CONSUL_CACERT";
    return `Consul's certificate is not signed by ${trusted} (${error.message}); ${wayOut}`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `${error.message}; name the host as the certificate does, or set CONSUL_TLS_SERVER_NAME`;
  }
  if (/wrong version number|packet length too long/.test(error.message)) {
    return "no TLS is spoken there; write consul://, or the port of ports.https";
  }
  // Consul closes without a word, or with an alert, when it wants another certificate or any.
  if (/ALERT|ECONNRESET|EPROTO/.test(code)) {
    const wayOut = "give one with ?cert= and ?key=, or CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY";
    return cert === undefined
      ? `${error.message}; Consul may want a client certificate: ${wayOut}`
      : `${error.message}; Consul may not trust the client certificate`;
  }
  return undefined;
}

function tlsOptions({ ca, cert, key, verify, serverName }: Tls): https.AgentOptions {
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    rejectUnauthorized: verify,
    ...(serverName !== undefined && { servername: serverName }),
  };
}

function isEmpty(body: unknown): boolean {
  return typeof body === "object" && body !== null && Object.keys(body).length === 0;
}
