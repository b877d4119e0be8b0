import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { PortolanError } from "../../errors.ts";
import type { BackendOptions } from "../backend.ts";
import { flawOf } from "../pem.ts";
import { type BackendUrl, parseBackendUrl } from "../url.ts";

/** What an agent is spoken to with over TLS; texts are PEM. */
export interface Tls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Where the CA came from, for messages. */
  readonly trusted: string;
  /** False: any certificate will do. */
  readonly verify: boolean;
  /** The name that the certificate must have, where it is not the host's. */
  readonly serverName?: string | undefined;
}

/** Where the agent is and how it is read. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** A Unix socket in the place of host and port. */
  readonly socket?: string | undefined;
  readonly tls?: Tls | undefined;
  /** The URL for messages. */
  readonly title: string;
  /** The token as it is now: a file that holds one is read for every request. */
  readonly token?: (() => Promise<string | undefined>) | undefined;
  readonly dc?: string | undefined;
  readonly stale: boolean;
  readonly cached: boolean;
  /** Of Consul Enterprise. */
  readonly namespace?: string | undefined;
  readonly partition?: string | undefined;
}

const isTrue = (text: string | undefined) => /^(1|t|true)$/i.test(text ?? "");
const isFalse = (text: string | undefined) => /^(0|f|false)$/i.test(text ?? "");

/**
 * The agent that a URL and Consul's own environment name. The URL goes before the environment; of
 * CONSUL_HTTP_ADDR nothing is taken when the URL has a host. Throws BACKEND_URL for what cannot be used, a
 * file that cannot be read among it.
 */
export function consulAddress(url: BackendUrl, { env }: BackendOptions): Address {
  const { title, query, scheme } = url;
  const bad = (why: string) => new PortolanError("BACKEND_URL", `backend "${title}": ${why}`);
  const fileOf = (parameter: string, variable: string): string | undefined =>
    query.get(parameter) ?? (env[variable] || undefined);
  const text = (file: string | undefined, what: string) => {
    try {
      return file === undefined ? undefined : readFileSync(file, "utf8");
    } catch (error) {
      throw bad(`the ${what} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  };

  const place = placeOf(url, env.CONSUL_HTTP_ADDR, bad);
  const isTls = /[+-]tls$/.test(scheme) || place.isTls || (place.isFromEnv && isTrue(env.CONSUL_HTTP_SSL));
  const parameter = ["ca", "cert", "key"].find((name) => query.has(name));
  if (!isTls && parameter !== undefined) throw bad(`"${parameter}" is for TLS; write consul+tls://`);

  const tls = () => {
    const [ca, cert, key] = [
      fileOf("ca", "CONSUL_CACERT"),
      fileOf("cert", "CONSUL_CLIENT_CERT"),
      fileOf("key", "CONSUL_CLIENT_KEY"),
    ];
    if ((cert === undefined) !== (key === undefined)) {
      throw bad(
        "a client certificate needs both ?cert= and ?key=, or CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY",
      );
    }
    const pem = (path: string | undefined, what: string) =>
      path === undefined ? undefined : { path, text: text(path, what) ?? "" };
    const files = {
      ca: pem(ca, "CA file"),
      cert: pem(cert, "client certificate"),
      key: pem(key, "client key"),
    };
    const flaw = flawOf(files);
    if (flaw !== undefined) throw bad(flaw);
    return {
      ca: files.ca?.text,
      cert: files.cert?.text,
      key: files.key?.text,
      trusted: ca ?? "the system's CAs",
      verify: !isFalse(env.CONSUL_HTTP_SSL_VERIFY),
      serverName: env.CONSUL_TLS_SERVER_NAME || undefined,
    };
  };

  const tokenFile = fileOf("token-file", "CONSUL_HTTP_TOKEN_FILE");
  text(tokenFile, "token file");
  return {
    host: place.host,
    port: place.port ?? (isTls ? 8501 : 8500),
    socket: place.socket,
    tls: isTls ? tls() : undefined,
    title,
    token: tokenFile === undefined ? async () => env.CONSUL_HTTP_TOKEN || undefined : watchedToken(tokenFile),
    dc: query.get("dc"),
    stale: query.has("stale"),
    cached: query.has("cached"),
    namespace: query.get("namespace") ?? (env.CONSUL_NAMESPACE || undefined),
    partition: query.get("partition") ?? (env.CONSUL_PARTITION || undefined),
  };
}

/** The token in a file, also after it was written anew. While it cannot be read, or is empty, the one before. */
function watchedToken(file: string): () => Promise<string | undefined> {
  let last: string | undefined;
  return async () => {
    last = (await readFile(file, "utf8").catch(() => "")).trim() || last;
    return last;
  };
}

interface Place {
  readonly host: string;
  readonly port?: number | undefined;
  readonly socket?: string;
  readonly isTls: boolean;
  readonly isFromEnv: boolean;
}

/** The host and port, or the socket. */
function placeOf(url: BackendUrl, variable: string | undefined, bad: (why: string) => Error): Place {
  const { hosts, path, scheme } = url;
  if (/[+-]unix$/.test(scheme)) {
    if (hosts.length > 0 || !path.startsWith("/"))
      throw bad(`write the socket's path: ${scheme}:///run/consul.sock`);
    return { host: "localhost", socket: path, isTls: false, isFromEnv: false };
  }
  if (hosts.length > 1) throw bad("write one host, the Consul agent of this machine");
  if (path !== "") throw bad(`"${path}" has no meaning here; write consul://127.0.0.1:8500`);
  const [given] = hosts;
  if (given) return { ...given, isTls: false, isFromEnv: false };
  if (!variable) return { host: "127.0.0.1", isTls: false, isFromEnv: true };

  const wrong = (why: string) => bad(`CONSUL_HTTP_ADDR "${variable}": ${why}`);
  const [, protocol, rest = ""] = /^(?:(\w+):\/\/)?(.*)$/s.exec(variable) ?? [];
  if (protocol === "unix") return { host: "localhost", socket: rest, isTls: false, isFromEnv: true };
  if (protocol !== undefined && !["http", "https", "tcp"].includes(protocol)) {
    throw wrong("write host:port, https://host:port or unix:///path");
  }
  const found = parseBackendUrl(`consul://${rest}`);
  const [host] = found.hosts;
  if (!host || found.hosts.length > 1 || found.path !== "") throw wrong("write host:port");
  return { ...host, isTls: protocol === "https", isFromEnv: true };
}
