import { isIP } from "node:net";
import { schemes } from "../backends/index.ts";
import { parseBackendUrl } from "../backends/url.ts";
import { PortolanError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { unusable } from "../registrator/address/address.ts";
import { adviceOnScheme, refuseGoTemplate } from "./from-registrator.ts";

/** A container label that selects, and the value it must have. */
export interface Selection {
  readonly label: string;
  readonly value: string | undefined;
}

/** Any text but the empty one. Throws USAGE. */
export function parseText(text: string): string {
  if (text === "") throw new PortolanError("USAGE", "it is empty");
  return text;
}

/** A whole number from `least` to 100. */
export function parseFew(least: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,3}$/.test(text) && Number(text) >= least && Number(text) <= 100) return Number(text);
    throw new PortolanError("USAGE", `"${text}" is not a whole number from ${least} to 100`);
  };
}

/** The value of a switch, as the environment, a file or `--switch=VALUE` write it. Throws USAGE. */
export function parseSwitch(text: string): boolean {
  const word = text.toLowerCase();
  if (["true", "t", "1", "yes", "on"].includes(word)) return true;
  if (["false", "f", "0", "no", "off"].includes(word)) return false;
  throw new PortolanError("USAGE", `"${text}" is neither true nor false`);
}

/** Turns the text of one value into the value. Throws a coded error. */
export interface Parse<T> {
  (text: string): T;
  /** All that it takes, where that is a few words. */
  readonly choices?: readonly string[];
}

/** One of a few words. Throws USAGE naming the nearest. */
export function parseOneOf<const T extends string>(words: readonly T[]): Parse<T> {
  const parse = (text: string): T => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new PortolanError(
      "USAGE",
      `"${text}" is not one of ${words.join(", ")}; the nearest is ${nearest(text, words)}`,
    );
  };
  return Object.assign(parse, { choices: words });
}

/**
 * A comma list; `\,` stands for a comma within a tag, as does one in `{{ }}`, and empty tags are left out. Blanks
 * stay, because they are a part of the tag for registrator. Throws USAGE for one of registrator's Go templates.
 */
export function parseTags(text: string): readonly string[] {
  refuseGoTemplate(text);
  const items = text.match(/(?:\{\{[\s\S]*?\}\}|\\,|[^,])+/g) ?? [];
  return items.map((tag) => tag.replaceAll("\\,", ",")).filter((tag) => tag !== "");
}

/** `LABEL` or `LABEL=VALUE`. Throws USAGE. */
export function parseSelection(text: string): Selection {
  const at = text.indexOf("=");
  const label = at < 0 ? text : text.slice(0, at);
  if (label === "") throw new PortolanError("USAGE", `"${text}" names no label; write LABEL or LABEL=VALUE`);
  return { label, value: at < 0 ? undefined : text.slice(at + 1) };
}

/** What `--ip` takes: an address or where to find it. Throws USAGE. */
export function parseHostAddress(text: string): string {
  const [, source, rest] = /^(interface|cidr|env):(.+)$/.exec(text) ?? [];
  if (source === undefined && isIP(text) !== 0) {
    const why = unusable(text, true);
    if (why === undefined) return text;
    throw new PortolanError("USAGE", why);
  }
  if (source !== undefined && (source !== "cidr" || isNetwork(rest ?? ""))) return text;
  throw new PortolanError(
    "USAGE",
    `"${text}" is not an address; write e.g. 10.0.0.5, interface:eth0, cidr:10.0.0.0/8 or env:HOST_IP`,
  );
}

function isNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return more.length === 0 && /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= most;
}

/** The URL of a Docker daemon. Throws USAGE. */
export function parseDockerUrl(text: string): string {
  if (/^(?:unix:\/\/\/.+|(?:tcp|https?):\/\/[^/]+.*|npipe:.+)$/.test(text)) return text;
  throw new PortolanError(
    "USAGE",
    `"${text}" is not a Docker URL; write e.g. unix:///var/run/docker.sock or tcp://127.0.0.1:2375`,
  );
}

/** A backend URL with a known scheme; whether it can be used is for its backend to say. Throws BACKEND_URL. */
export function parseBackend(text: string): string {
  const { scheme, title } = parseBackendUrl(text);
  if (schemes.includes(scheme)) return text;
  throw new PortolanError(
    "BACKEND_URL",
    `backend "${title}": ${
      adviceOnScheme(scheme) ??
      `unknown scheme "${scheme}"; known are ${schemes.join(", ")}; the nearest is ${nearest(scheme, schemes)}`
    }`,
  );
}
