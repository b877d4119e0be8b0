import { EventEmitter, setMaxListeners } from "node:events";
import http, { type ClientRequest } from "node:http";
import https from "node:https";
import Consul from "consul";
import { after } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import { answerLimit } from "../limited.ts";
import { overdue, tooLong } from "../way-out.ts";
import type { Address, Tls } from "./address.ts";
import { codedFailure, isKnown, otherwise, type Response, unlessUnknownService } from "./failure.ts";
import { createOutage } from "./outage.ts";
import { aclRule, needs } from "./rights.ts";

/** How patient the backend is; in ms. */
export interface Timing {
  /** How long Consul may hold a blocking query. */
  readonly wait: number;
  /** How much longer than due any answer may take. */
  readonly patience: number;
  /** How long a Consul that came back without what it had is given to be filled again (15 s). */
  readonly grace?: number;
}

/** What a token may do, as `/v1/internal/acl/authorize` takes it. */
export interface Right {
  readonly Resource: "service" | "node" | "key";
  readonly Access: "read";
  /** The name; empty: all of them. */
  readonly Segment: string;
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
  /** True: it is empty, and nobody can tell whether only for this token. */
  readonly isDoubtful?: boolean;
}

/**
 * The calls of Consul's HTTP API that this backend makes; what they answer is the parsed JSON, undefined for
 * what is not there. Each ends within its deadline and rejects with BACKEND_UNREACHABLE, BACKEND_DENIED,
 * FAILED (Consul refuses the request as such) or ABORTED.
 */
export interface ConsulApi {
  /** `/v1/health/service/<service>` */
  health(service: string, question: Question, signal: AbortSignal): Promise<Answer>;
  /** The index alone with which `health` would answer now. */
  healthIndex(service: string, signal: AbortSignal): Promise<number>;
  /** `/v1/catalog/services`, which wakes for every change of any service. */
  names(question: Question, signal: AbortSignal): Promise<Answer>;
  /** Wakes for every change of any check, and answers none of them. */
  anyCheck(question: Question, signal: AbortSignal): Promise<Answer>;
  agentSelf(signal: AbortSignal): Promise<unknown>;
  /** The local agent's services by id: all of them, or those with this meta, and perhaps others. */
  agentServices(meta: readonly [key: string, value: string] | "all", signal: AbortSignal): Promise<unknown>;
  /** The local agent's checks that are ours or Consul's maintenance mode, and perhaps others, by id. */
  agentChecks(signal: AbortSignal): Promise<unknown>;
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
  /** Whether the token has all the rights; undefined where Consul does not tell. */
  may(rights: readonly Right[], signal: AbortSignal): Promise<boolean | undefined>;
  /** Creates a session without checks and lock delay, at whose end its keys are deleted. `ttl` in seconds. Its id. */
  beginSession(name: string, ttl: number, signal: AbortSignal): Promise<string>;
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
/** A read that has an index. */
interface Read {
  readonly path: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** Whether agents can keep it in their cache. */
  readonly isCacheable?: boolean;
}
const now: Question = { index: 0, consistent: false };

interface Transport {
  request(options: http.RequestOptions): ClientRequest;
}

/** The API of one agent. Asks nothing by itself. */
export function createConsulApi(address: Address, timing: Timing): ConsulApi {
  const { host, port, title, tls, socket } = address;
  const running = new Set<() => void>();
  const unlessAway = createOutage();
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
        outgoing.on("response", (answer) => {
          answer.on("error", (error) => outgoing.emit("error", error));
          let length = 0;
          answer.on("data", (chunk: Buffer) => {
            length += chunk.length;
            if (length > answerLimit) answer.destroy(new Error(tooLong(`${sent.path}`, answerLimit)));
          });
        });
        return outgoing;
      },
    };
    next();
  });

  /**
   * Runs one call of the package, which its `ctx` can cancel, under a deadline and the caller's signal. `needed` are
   * the rights that it takes, where Consul does not name what is missing.
   */
  const call = <T>(
    signal: AbortSignal,
    run: (ctx: EventEmitter) => Promise<T>,
    held = 0,
    needed?: string,
  ): Promise<T> => {
    if (closed || signal.aborted) return Promise.reject(new PortolanError("ABORTED", "cancelled"));
    const within = held + timing.patience;
    const ctx = Object.assign(new EventEmitter(), { canceled: false });
    const over = new AbortController();
    const cancel = () => {
      over.abort();
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
      return unlessAway(() => run(ctx), held > 0, over.signal);
    };
    return begin()
      .catch((cause: unknown) => {
        if (closed || signal.aborted) throw new PortolanError("ABORTED", "cancelled", { cause });
        if (!late) throw codedFailure(address, cause, needed);
        const message = `${title}: no answer within ${within / 1000} s${overdue}`;
        throw new PortolanError("BACKEND_UNREACHABLE", message, { cause });
      })
      .finally(() => {
        disarm();
        signal.removeEventListener("abort", cancel);
        running.delete(cancel);
      });
  };

  /** Runs a read that Consul may hold until something changes. The body is undefined for what is not there. */
  const blocking = async (read: Read, question: Question, signal: AbortSignal): Promise<Answer> => {
    const { index, consistent } = question;
    const { dc, stale, cached } = address;
    // Consul adds up to a sixteenth to the wait, so that not all queries end at once.
    const held = index > 0 ? (timing.wait * 17) / 16 : 0;
    const ask = (how: Readonly<Record<string, string>>) =>
      call(
        signal,
        (ctx) => {
          const waits = index > 0 && { index: String(index), wait: `${timing.wait}ms` };
          const query = { ...read.query, ...how, ...(dc !== undefined && { dc }), ...waits };
          return requests._get({ ...read, query, ctx }).catch(otherwise([404]));
        },
        held,
      );
    const lenient = {
      ...(stale && { stale: "" }),
      ...(cached && read.isCacheable === true && { cached: "" }),
    };
    let answer = await ask(consistent ? { consistent: "" } : lenient);
    // What is too old, or of an age that nobody knows, is asked of the leader.
    if (!consistent && isTooOld(answer)) answer = await ask({});
    const { headers } = answer;
    const body = answer.statusCode === 404 ? undefined : answer.body;
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

  const healthOf = (service: string, query = {}): Read => {
    return { path: "/health/service/{service}", params: { service }, query, isCacheable: true };
  };

  return {
    health: (service, question, signal) => blocking(healthOf(service), question, signal),
    async healthIndex(service, signal) {
      const { isCacheable: _, ...read } = healthOf(service, { filter: 'Service.ID == "-"' });
      return (await blocking(read, now, signal)).index;
    },
    names: (question, signal) => blocking({ path: "/catalog/services", isCacheable: true }, question, signal),
    anyCheck: (question, signal) =>
      blocking({ path: "/health/state/any", query: { filter: 'CheckID == "-"' } }, question, signal),
    agentSelf: (signal) => call(signal, (ctx) => client.agent.self({ ctx } as object)),
    agentServices(meta, signal) {
      // Consul's filters know no escapes: what cannot be said in one is left to the caller.
      const filter =
        meta === "all" || /["\\]/.test(meta[1]) ? {} : { filter: `Meta["${meta[0]}"] == "${meta[1]}"` };
      return call(signal, (ctx) => client.agent.service.list({ ...filter, ctx } as object));
    },
    agentChecks(signal) {
      const filter = 'CheckID matches "^(portolan-|_service_maintenance:)"';
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
    deregister: (id, signal) =>
      call(signal, async (ctx) => {
        const gone = client.agent.service.deregister({ id, ...{ ctx } });
        await gone.catch(unlessUnknownService);
      }),
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
    async tree(prefix, question, signal) {
      const read = { path: "/kv/{prefix}", params: { prefix }, query: { recurse: "" } };
      const { index, body } = await blocking(read, question, signal);
      return { index, body: Array.isArray(body) ? body.map(decoded) : body };
    },
    may: (rights, signal) =>
      call(signal, async (ctx) => {
        const request = { path: "/internal/acl/authorize", body: rights, type: "json", ctx };
        // 401: there are no ACLs. 404 and 405: this Consul is not asked so.
        const answer = await requests._post(request).catch(otherwise([401, 404, 405]));
        if (answer.statusCode === 401) return true;
        if (!Array.isArray(answer.body)) return undefined;
        return answer.body.every((verdict: { readonly Allow?: unknown }) => verdict.Allow === true);
      }),
    async beginSession(name, ttl, signal) {
      const terms = { ttl: `${ttl}s`, behavior: "delete", lockdelay: "0s", checks: [] };
      const create = (ctx: EventEmitter) => client.session.create({ name, ...terms, ...{ ctx } } as object);
      const { ID } = await call(signal, create, 0, needs(aclRule("session_prefix", "", "write")));
      if (typeof ID === "string") return ID;
      throw new PortolanError("BACKEND_UNREACHABLE", `${title}: no session in the answer; is it Consul?`);
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
        if (answer.statusCode !== 409) return answer.body;
        // Among what did not hold Consul also counts what the token may not do.
        const { Errors } = (answer.body ?? {}) as { readonly Errors?: unknown };
        const refusal = JSON.stringify(Errors ?? []);
        if (!/permission denied/i.test(refusal)) return undefined;
        const rules = [...new Set(operations.map(keyOf))].map((key) => aclRule("key", key, "write"));
        const needed = needs(...rules.slice(0, 3));
        throw new PortolanError(
          "BACKEND_DENIED",
          `${title}: the token may not write these keys: ${refusal}: ${needed}`,
        );
      }),
    close() {
      closed = true;
      for (const cancel of [...running]) cancel();
      client.destroy();
    },
  };
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

/** Seconds by which an answer may be behind the leader. */
const oldest = 10;

/** Of a stale or cached answer: a server without a leader, or an agent without a server, may be far behind. */
function isTooOld({ headers }: Response): boolean {
  const behind = Number(headers["x-consul-lastcontact"] ?? 0) / 1000;
  return headers["x-consul-knownleader"] === "false" || Math.max(behind, Number(headers.age ?? 0)) > oldest;
}

/** The key of an operation in a transaction. */
function keyOf(operation: unknown): string {
  const { KV } = operation as { readonly KV?: { readonly Key?: unknown } };
  return String(KV?.Key ?? "");
}

/** A key as Consul answers it, with its value decoded. */
function decoded(entry: { readonly Value?: unknown }): object {
  const { Value } = entry;
  return typeof Value === "string" ? { ...entry, Value: Buffer.from(Value, "base64").toString() } : entry;
}

function isEmpty(body: unknown): boolean {
  return typeof body === "object" && body !== null && Object.keys(body).length === 0;
}
