import { compare, type Instance } from "../../instance.ts";
import { splitWords } from "../words.ts";
import {
  aDuration,
  durationOf,
  isModifier,
  modifiers,
  type Shape,
  say,
  shapeOf,
  truthOf,
} from "./check-shape.ts";

/** A check that a container ordered, as the agent takes it. */
export interface OrderedCheck {
  readonly id: string;
  /** Without its CheckID and notes. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Seconds, of a check that wants heartbeats. */
  readonly ttl?: number;
  readonly isScript: boolean;
}

/** The checks of an instance, and what of its order was not understood or is not allowed. */
export interface Order {
  readonly checks: readonly OrderedCheck[];
  readonly leftOut: readonly string[];
}

/** What limits the checks of a lease. */
export interface CheckRules {
  /** Why there are no scripts, with the way out; undefined: they are allowed. */
  readonly noScripts: string | undefined;
  /** The lease's own time to live in seconds; 0: it sends no heartbeats. */
  readonly leaseTtl: number;
}

/** What the ids of ordered checks begin with. */
export const checkPrefix = "portolan-check:";

const kinds = ["http", "https", "tcp", "grpc", "ttl", "script"] as const;
type Kind = (typeof kinds)[number];
const names: Readonly<Record<Kind, string>> = {
  http: "HTTP",
  https: "HTTPS",
  tcp: "TCP",
  grpc: "gRPC",
  ttl: "The container runs",
  script: "Script",
};
/** Said of what has no meaning here; the vocabulary is in docs/backends/consul.md. */
const known = [...kinds, ...modifiers].map((key) => `CHECK_${key.toUpperCase()}`).join(", ");

/**
 * The checks that `instance.checks` orders. Its keys are a kind (`http`) or what shapes the kinds
 * (`interval`), each also with a number in front (`2_http`): a further group, whose shape is what it says
 * itself, else what the plain keys say.
 */
export function orderedChecks(instance: Instance, rules: CheckRules): Order {
  const checks: OrderedCheck[] = [];
  const leftOut = new Set<string>();
  const given = Object.entries(instance.checks ?? {}).filter(([, value]) => value.trim() !== "");
  const values = new Map(given.map(([key, value]) => [key, value.trim()]));
  const groups = new Set<string>();
  for (const [key, value] of given) {
    const [, group = "", word = key] = /^(\d+_)?(.+)$/s.exec(key) ?? [];
    if (isKind(word)) groups.add(group);
    else if (word === "cmd") leftOut.add(say(key, value, "needs a Consul image of old; use CHECK_SCRIPT"));
    else if (!isModifier(word)) leftOut.add(say(key, value, `no such check; known are ${known}`));
  }
  for (const group of [...groups].sort(
    (a, b) => Number.parseInt(a || "0", 10) - Number.parseInt(b || "0", 10),
  )) {
    const shape = shapeOf(group, values, leftOut);
    for (const kind of kinds) {
      const key = `${group}${kind}`;
      const value = values.get(key);
      if (value === undefined) continue;
      const check = bodyOf(kind, value, instance, shape, rules);
      if (typeof check === "string") leftOut.add(say(key, value, check));
      if (typeof check !== "object") continue;
      const { ttl, remark, ...own } = check;
      if (remark !== undefined) leftOut.add(say(key, value, remark));
      checks.push({
        id: `${checkPrefix}${instance.id}:${key}`,
        body: {
          Name: group === "" ? names[kind] : `${names[kind]} ${group.slice(0, -1)}`,
          ...own,
          ...(ttl === undefined && { Interval: shape.interval ?? "10s" }),
          ...(ttl === undefined && shape.timeout !== undefined && { Timeout: shape.timeout }),
          ...shape.common,
        },
        ...(ttl !== undefined && { ttl }),
        isScript: kind === "script",
      });
    }
  }
  return { checks, leftOut: [...leftOut].sort(compare) };
}

const isKind = (word: string): word is Kind => kinds.some((kind) => kind === word);

/** The part of a check's body that makes its kind. A text says why there is none, undefined that none is wanted. */
function bodyOf(
  kind: Kind,
  value: string,
  instance: Instance,
  shape: Shape,
  rules: CheckRules,
):
  | ({ readonly ttl?: number; readonly remark?: string } & Readonly<Record<string, unknown>>)
  | string
  | undefined {
  const skip = shape.tlsSkipVerify && { TLSSkipVerify: true };
  switch (kind) {
    case "http":
    case "https": {
      const url = urlOf(kind, value, instance);
      if (url === undefined) return `no URL; write a path like /health, or a whole ${kind}:// URL`;
      const method = shape.method[kind];
      return {
        HTTP: url,
        ...(method !== undefined && { Method: method }),
        ...(shape.header && { Header: shape.header }),
        ...(shape.body !== undefined && { Body: shape.body }),
        ...skip,
      };
    }
    case "tcp":
      return truthOf(value) === false
        ? undefined
        : { TCP: /^\S*:\d+$/.test(value) ? at(value, instance) : at("", instance) };
    case "grpc": {
      if (truthOf(value) === false) return undefined;
      const [, target = "", name = ""] = /^(\S*:\d+)?(\/\S+)?$/.exec(value) ?? [];
      return {
        GRPC: `${at(target, instance)}${name}`,
        ...(shape.grpcUseTls && { GRPCUseTLS: true }),
        ...skip,
      };
    }
    case "ttl": {
      const duration = durationOf(value);
      if (duration === undefined) return aDuration;
      if (rules.leaseTtl === 0) return "its heartbeats need a --ttl; use another check, or give one";
      const ttl = Math.max(duration.seconds, rules.leaseTtl);
      const remark = `shorter than the registrator's own --ttl, so ${ttl}s is used`;
      return { TTL: `${ttl}s`, ttl, ...(ttl > duration.seconds && { remark }) };
    }
    case "script": {
      if (rules.noScripts !== undefined) return rules.noScripts;
      const words = splitWords(value);
      if (!words?.[0]) return "a quote has no end, or there is no program";
      return { Args: words.map((word) => withPlace(word, instance)) };
    }
  }
}

const hostOf = ({ address }: Instance) => (address.includes(":") ? `[${address}]` : address);

/** `host:port`, `:port` at the instance's address, or with nothing the instance itself. */
function at(target: string, instance: Instance): string {
  if (target === "") return `${hostOf(instance)}:${instance.port}`;
  return target.startsWith(":") ? `${hostOf(instance)}${target}` : target;
}

function urlOf(scheme: "http" | "https", value: string, instance: Instance): string | undefined {
  const slash = value.startsWith("/") ? "" : "/";
  const whole = /^https?:\/\//i.test(value) ? value : `${scheme}://${at("", instance)}${slash}${value}`;
  if (!URL.canParse(whole)) return undefined;
  const url = new URL(whole);
  url.hash = "";
  return url.href;
}

/** Done after the splitting, so that no address can become two words. */
function withPlace(word: string, instance: Instance): string {
  return word
    .replaceAll(/\$(?:SERVICE_IP\b|\{SERVICE_IP\})/g, instance.address)
    .replaceAll(/\$(?:SERVICE_PORT\b|\{SERVICE_PORT\})/g, String(instance.port));
}
