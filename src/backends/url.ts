import { PortolanError } from "../errors.ts";

/** A backend URL, split by hand: WHATWG URL refuses several hosts and `etcd://[::1]:2379,[::2]:2379/x`. */
export interface BackendUrl {
  readonly scheme: string;
  readonly hosts: readonly { readonly host: string; readonly port: number | undefined }[];
  /** With its leading slash, without a trailing one; empty when there is none. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  /** The URL as given, without secrets, for messages. */
  readonly title: string;
}

/** Query parameters that every backend takes. */
const parameters = new Set([
  "token-file",
  "user",
  "password-file",
  "ca",
  "cert",
  "key",
  "namespace",
  "partition",
  "dc",
  "layout",
  "stale",
  "cached",
]);

/** Splits a backend URL. Throws BACKEND_URL naming what is wrong with it. */
export function parseBackendUrl(text: string): BackendUrl {
  const scheme = /^([a-z][a-z0-9+-]*):(.*)$/s.exec(text);
  if (!scheme?.[1]) {
    throw new PortolanError(
      "BACKEND_URL",
      `backend "${redact(text)}": no scheme; write e.g. consul://127.0.0.1:8500 or etcd://127.0.0.1:2379`,
    );
  }
  const bad = (why: string) => new PortolanError("BACKEND_URL", `backend "${redact(text)}": ${why}`);
  const credentials = () =>
    bad(
      "credentials do not belong in a URL; use ?user= with ?password-file=, or ?token-file=; " +
        "an at sign in a path is written %40",
    );

  const [beforeQuery = "", queryText] = splitOnce(scheme[2] ?? "", "?");
  if (beforeQuery.includes("@") && !local.test(text)) throw credentials();
  const query = new Map<string, string>();
  for (const pair of queryText?.split("&").filter(Boolean) ?? []) {
    const [name = "", value] = splitOnce(pair, "=");
    if (!parameters.has(name)) {
      // A password may hold a question mark.
      if (pair.includes("@")) throw credentials();
      throw bad(`unknown parameter "${name}"; known are ${[...parameters].sort().join(", ")}`);
    }
    query.set(name, decode(value ?? "", bad));
  }

  let path = beforeQuery;
  let hosts: BackendUrl["hosts"] = [];
  if (beforeQuery.startsWith("//")) {
    const rest = beforeQuery.slice(2);
    const slash = rest.indexOf("/");
    const authority = slash < 0 ? rest : rest.slice(0, slash);
    path = slash < 0 ? "" : rest.slice(slash);
    hosts = authority === "" ? [] : authority.split(",").map((part) => parseHost(part, bad));
  }
  return {
    scheme: scheme[1],
    hosts,
    path: decode(path, bad).replace(/\/+$/, ""),
    query,
    title: redact(text),
  };
}

function parseHost(text: string, bad: (why: string) => Error): { host: string; port: number | undefined } {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (!match || host === undefined) {
    throw bad(`"${text}" is not host:port; an IPv6 address stands in brackets, e.g. [::1]:2379`);
  }
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65535)) throw bad(`port ${port} is not from 1 to 65535`);
  return { host, port };
}

/** Schemes with a path of this host, which may hold an at sign. */
const local = /^(file|[a-z+-]*unix):\/\/\//;

/**
 * A URL for messages: what may be credentials, and values of parameters that are not ours, are masked. A password
 * may hold any character, so all is masked from the scheme to the last `@` that no parameter of ours holds.
 */
function redact(text: string): string {
  const scheme = /^([a-z][a-z0-9+-]*:)?(\/\/)?/.exec(text)?.[0] ?? "";
  const rest = text.slice(scheme.length);
  const parts = rest.split(/(?=[?&])/);
  const isOurs = (part: string) => parameters.has(/^[?&]([^=]*)=/.exec(part)?.[1] ?? "");
  const last = parts.findLastIndex((part) => part.includes("@") && !isOurs(part));
  const at = parts
    .slice(0, last + 1)
    .join("")
    .lastIndexOf("@");
  const masked = at < 0 || local.test(text) ? text : `${scheme}***${rest.slice(at)}`;
  return masked.replace(/([?&])([^=&]*)=([^&]*)/g, (whole, mark: string, name: string) =>
    parameters.has(name) ? whole : `${mark}${name}=***`,
  );
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function decode(text: string, bad: (why: string) => Error): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad(`"${text}" holds a percent sign that begins no escape; write %25`);
  }
}
