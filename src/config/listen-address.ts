import { PortolanError } from "../errors.ts";
import { formatAddress, isLoopback } from "../status/address.ts";
import type { CommandName } from "./command-name.ts";

/** Where the status pages are served; `off`: nowhere. */
export type ListenAddress = { readonly host: string; readonly port: number } | "off";

/** The port at which a daemon serves its status pages by default, on 127.0.0.1. */
export function defaultPort(command: CommandName): number {
  const ports: Readonly<Partial<Record<CommandName, number>>> = {
    agent: 7600,
    registrator: 7601,
    templater: 7602,
  };
  return ports[command] ?? 0;
}

/** `HOST:PORT`, or `off`. Throws USAGE. */
export function parseListenAddress(text: string): ListenAddress {
  if (text === "off") return "off";
  const [, bracketed, plain = "", digits] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (digits === undefined || port > 65535) {
    throw new PortolanError(
      "USAGE",
      `"${text}" is not an address; write e.g. 127.0.0.1:7601, [::1]:7601 or off`,
    );
  }
  return { host, port };
}

/**
 * What is wrong with an address that others could reach while no token is asked for: what a status page shows is not
 * for everybody. Undefined when nothing is.
 */
export function whyUnguarded(
  listen: ListenAddress | undefined,
  tokenFile: string | undefined,
): string | undefined {
  if (listen === undefined || listen === "off" || tokenFile !== undefined || isLoopback(listen.host))
    return undefined;
  const { host, port } = listen;
  return `${formatAddress(host, port)} can be reached from other machines; give --listen-token-file FILE, with a token in it, or use 127.0.0.1:${port}`;
}
