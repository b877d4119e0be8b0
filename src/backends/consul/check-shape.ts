import { isSecretCheck } from "../../instance.ts";

/** The keys that shape checks, `method` for both HTTP and HTTPS. */
export const modifiers = [
  "interval",
  "timeout",
  "initial_status",
  "deregister_after",
  "success_before_passing",
  "failures_before_critical",
  "method",
  "http_method",
  "https_method",
  "header",
  "body",
  "tls_skip_verify",
  "grpc_use_tls",
] as const;
type Modifier = (typeof modifiers)[number];

/** Whether the key shapes checks. */
export const isModifier = (word: string): word is Modifier => modifiers.some((modifier) => modifier === word);

/** What is said of a key that is left out, without what may be a secret. */
export function say(key: string, value: string, why: string): string {
  const shown = value.length > 100 ? `${value.slice(0, 100)}…` : value;
  return `CHECK_${key.toUpperCase()}${isSecretCheck(key, value) ? "" : `=${shown}`}: ${why}`;
}

/** What shapes the checks of one group. */
export interface Shape {
  readonly interval: string | undefined;
  readonly timeout: string | undefined;
  readonly method: Readonly<Record<"http" | "https", string | undefined>>;
  readonly header: Readonly<Record<string, readonly string[]>> | undefined;
  readonly body: string | undefined;
  readonly tlsSkipVerify: boolean;
  readonly grpcUseTls: boolean;
  /** What every kind of check has, as the agent takes it. */
  readonly common: Readonly<Record<string, unknown>>;
}

/** Reads the modifiers of a group. One that is not understood is left out, and its check stays. */
export function shapeOf(group: string, values: ReadonlyMap<string, string>, leftOut: Set<string>): Shape {
  /** The modifier in its meaning; undefined when it is not there or has none. */
  const read = <T>(word: Modifier, parse: (value: string) => T | undefined, want: string): T | undefined => {
    const key = values.has(`${group}${word}`) ? `${group}${word}` : word;
    const value = values.get(key);
    if (value === undefined) return undefined;
    const parsed = parse(value);
    if (parsed === undefined) leftOut.add(say(key, value, `${want}; the check goes without it`));
    return parsed;
  };
  const span = (word: Modifier) => read(word, (value) => durationOf(value)?.text, aDuration);
  const times = (word: Modifier) =>
    read(
      word,
      (value) => (/^\d{1,4}$/.test(value) ? Number(value) : undefined),
      "not a number from 0 to 9999",
    );
  const yes = (word: Modifier) => read(word, truthOf, "neither true nor false") ?? false;
  const method = (word: Modifier) =>
    read(
      word,
      (value) => (/^[A-Za-z]{1,20}$/.test(value) ? value.toUpperCase() : undefined),
      "no HTTP method",
    );
  const status = read(
    "initial_status",
    (value) => ["passing", "warning", "critical"].find((each) => each === value.toLowerCase()),
    "not passing, warning or critical",
  );
  const after = span("deregister_after");
  const success = times("success_before_passing");
  const failures = times("failures_before_critical");
  const anyMethod = method("method");
  return {
    interval: span("interval"),
    timeout: span("timeout"),
    method: { http: method("http_method") ?? anyMethod, https: method("https_method") ?? anyMethod },
    header: read("header", headerOf, 'no header; write "Name: value", one a line, or a JSON object of lists'),
    body: read("body", (value) => value, ""),
    tlsSkipVerify: yes("tls_skip_verify"),
    grpcUseTls: yes("grpc_use_tls"),
    common: {
      ...(status !== undefined && { Status: status }),
      ...(after !== undefined && { DeregisterCriticalServiceAfter: after }),
      ...(success !== undefined && { SuccessBeforePassing: success }),
      ...(failures !== undefined && { FailuresBeforeCritical: failures }),
    },
  };
}

/** What is said of a value that is no duration. */
export const aDuration = "no duration; write e.g. 10s";

const units: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** A duration as Consul writes it, e.g. `1m30s`; a bare number means seconds. More than nothing, less than ten years. */
export function durationOf(value: string): { readonly text: string; readonly seconds: number } | undefined {
  const text = /^\d+$/.test(value) ? `${value}s` : value;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g))
    seconds += Number(number) * (units[unit ?? ""] ?? 0);
  return seconds > 0 && seconds < 87_600 * 3600 ? { text, seconds } : undefined;
}

/** What a word says; undefined when it says neither. */
export function truthOf(value: string): boolean | undefined {
  if (/^(true|1|yes|on)$/i.test(value)) return true;
  return /^(false|0|no|off)$/i.test(value) ? false : undefined;
}

/** Lines of `Name: value`, or a JSON object whose values are texts or lists of texts. */
function headerOf(value: string): Readonly<Record<string, readonly string[]>> | undefined {
  const pairs: (readonly [string, readonly unknown[]])[] = [];
  if (value.startsWith("{")) {
    try {
      for (const [name, content] of Object.entries(JSON.parse(value) as object))
        pairs.push([name, [content].flat()]);
    } catch {
      return undefined;
    }
  } else {
    for (const line of value.split(/\r?\n/).filter((each) => each.trim() !== "")) {
      const colon = line.indexOf(":");
      pairs.push([line.slice(0, Math.max(0, colon)).trim(), [line.slice(colon + 1).trim()]]);
    }
  }
  // No object while it grows: `constructor` and the like are names of headers too.
  const header = new Map<string, readonly string[]>();
  for (const [name, contents] of pairs) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return undefined;
    for (const content of contents) {
      if (typeof content !== "string" || /[\r\n\0]/.test(content)) return undefined;
      header.set(name, [...(header.get(name) ?? []), content]);
    }
  }
  return Object.fromEntries(header);
}
