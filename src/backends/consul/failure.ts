import type { IncomingMessage } from "node:http";
import { PortolanError } from "../../errors.ts";
import { wayOutOf } from "../way-out.ts";
import type { Address, Tls } from "./address.ts";
import { seeRules } from "./rights.ts";

/** An answer with its parsed body. */
export type Response = IncomingMessage & { readonly body?: unknown };

/** What papi rejects with when the answer's status is not 2xx. */
interface Refusal extends Error {
  readonly response: Response;
}

/** A broken answer has a `response` too, but no `isResponse`. */
function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && "isResponse" in error && "response" in error;
}

/** Turns the refusals with one of the statuses into the answers that they are. */
export function otherwise(statuses: readonly number[]): (error: unknown) => Response {
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
export function isKnown(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    (error: unknown) => {
      if (isUnknownCheck(error)) return false;
      throw error;
    },
  );
}

/** Consul up to 1.10 answers 200 for a service that it does not know, later ones 404. */
export function unlessUnknownService(error: unknown): void {
  if (!isRefusal(error) || error.response.statusCode !== 404) throw error;
}

/** Consul up to 1.10 answers 500 for a check that it does not know, later ones 404. */
function isUnknownCheck(error: unknown): boolean {
  if (!isRefusal(error)) return false;
  const status = error.response.statusCode;
  return status === 404 || (status === 500 && /associated TTL|unknown check/i.test(said(error)));
}

/**
 * The failure of a call as what the backend rejects with: BACKEND_UNREACHABLE, BACKEND_DENIED or FAILED. `needed`
 * tells the rights that it takes, where Consul's own words do not.
 */
export function codedFailure({ title, tls }: Address, error: unknown, needed?: string): PortolanError {
  if (!isRefusal(error)) {
    if (error instanceof PortolanError) return error;
    const words = (tls && distrustOf(error, tls)) ?? failureOf(error);
    return new PortolanError("BACKEND_UNREACHABLE", `${title}: ${words}`, { cause: error });
  }
  const status = error.response.statusCode ?? 0;
  const words = said(error);
  if (status === 404 && /^404 page not found|^</.test(words)) {
    const wayOut = "what answers there is no Consul agent; name its HTTP port, usually 8500";
    return new PortolanError("BACKEND_UNREACHABLE", `${title}: ${wayOut}`, { cause: error });
  }
  const message = `${title}: ${words} (${status})`;
  if (status === 401 || status === 403) {
    return new PortolanError("BACKEND_DENIED", `${message}: ${needed ?? seeRules}`, { cause: error });
  }
  const ours = status < 500 && status !== 408 && status !== 429;
  return new PortolanError(ours ? "FAILED" : "BACKEND_UNREACHABLE", message, { cause: error });
}

/** What became of a connection, and what to do. */
function failureOf(error: unknown): string {
  // The package puts its own name and that of the call in front of what the system says.
  const words = (error instanceof Error ? error.message : String(error)).replace(
    /^consul: (?:\w+(?:\.\w+)*: )?/,
    "",
  );
  return `${words}${wayOutOf(words, "a Consul agent")}`;
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
