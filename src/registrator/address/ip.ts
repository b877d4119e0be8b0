import { isIP } from "node:net";

/** An IP address as a person wrote it, understood. */
export interface IpAddress {
  /** The usual form: IPv6 shortened and in lower case, an IPv4-mapped one as IPv4. Without a zone. */
  readonly text: string;
  readonly version: 4 | 6;
  /** Of `fe80::1%eth0`: `eth0`. */
  readonly zone: string | undefined;
  /** `other` is an address that other hosts may be able to use. */
  readonly kind: "unspecified" | "loopback" | "link-local" | "multicast" | "broadcast" | "other";
}

/** Reads an address; undefined when it is none. `010.0.0.1` is none: some programs read octal there. */
export function readIp(written: string): IpAddress | undefined {
  const version = isIP(written);
  if (version === 0) return undefined;
  if (version === 4) return { text: written, version: 4, zone: undefined, kind: kindOf4(written) };
  const [address = "", zone] = written.split("%");
  // The URL parser knows the one short form of each address.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(text);
  if (mapped) {
    const bytes = mapped.slice(1).flatMap((group) => {
      const number = Number.parseInt(group, 16);
      return [number >> 8, number & 255];
    });
    const ipv4 = bytes.join(".");
    return { text: ipv4, version: 4, zone, kind: kindOf4(ipv4) };
  }
  return { text, version: 6, zone, kind: kindOf6(text) };
}

function kindOf4(text: string): IpAddress["kind"] {
  const [first = 0, second] = text.split(".").map(Number);
  if (first === 0) return "unspecified";
  if (first === 127) return "loopback";
  if (first === 169 && second === 254) return "link-local";
  if (text === "255.255.255.255") return "broadcast";
  return first >= 224 && first < 240 ? "multicast" : "other";
}

function kindOf6(text: string): IpAddress["kind"] {
  if (text === "::") return "unspecified";
  if (text === "::1") return "loopback";
  if (/^fe[89ab]/.test(text) && text.indexOf(":") === 4) return "link-local";
  return /^ff/.test(text) && text.indexOf(":") === 4 ? "multicast" : "other";
}
