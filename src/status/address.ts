import { isIP } from "node:net";

/** True for names and addresses of this machine's loopback interface, as they stand in a Host header. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  return isIP(host) === 4
    ? host.startsWith("127.")
    : isIP(host) === 6 && /^(?:0{0,4}:){2,7}0{0,3}1$/.test(host);
}

/** `HOST:PORT`, with an IPv6 host in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
