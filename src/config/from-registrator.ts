// What registrator's own command lines hold that means something else here, or nothing.
import { PortolanError } from "../errors.ts";
import { parseDuration } from "./duration.ts";

/** Options that only a fork of registrator has, and what to write instead. */
const ofForks: Readonly<Record<string, string>> = {
  "require-label": "write --select SERVICE_REGISTER",
  "ip-from-container": "write --internal, which registers the container's address together with its own port",
  "ip-lookup-source":
    "write --ip interface:NAME, --ip cidr:NET or --ip env:VAR, which are looked up anew each time",
  "ip-lookup-retries": "leave it out: an address that is not known yet is looked up again for ever",
  "exit-on-ip-lookup-failure":
    "leave it out: while the address is not known, /readyz says so and nothing is removed",
};

/** What to write instead of an option (without dashes) that only a fork of registrator has, if it is one. */
export function adviceOnFork(name: string): string | undefined {
  const advice = Object.hasOwn(ofForks, name) ? ofForks[name] : undefined;
  return advice && `--${name} is an option of a fork of registrator; ${advice}`;
}

/** Backends that are written in another way here. */
const otherSchemes: Readonly<Record<string, string>> = {
  skydns2: "etcd://HOST:2379/DOMAIN?layout=skydns",
  coredns: "etcd://HOST:2379/DOMAIN?layout=skydns",
  etcd2: "etcd://HOST:2379/PREFIX?layout=registrator",
  "etcd-legacy": "etcd://HOST:2379/PREFIX?layout=registrator (API v3; v2 is gone from etcd)",
};

/** How a backend is written here whose scheme only registrator or a fork of it has. */
export function adviceOnScheme(scheme: string): string | undefined {
  const way = Object.hasOwn(otherSchemes, scheme) ? otherSchemes[scheme] : undefined;
  return way && `"${scheme}" is a scheme of registrator's; write ${way}`;
}

/** Words that only registrator's Go templates know, and any path that begins with a dot or a dollar. */
const goAction =
  /\{\{(?:-?\s*|[^}]*[\s(|])(?:[.$][A-Za-z]|(?:strSlice|[sm]Index|splitIndex|match(?:First|All)Elements?|httpGet|jsonParse)\b)/;

/** Throws USAGE for a tag list that is one of registrator's Go templates, with the way to write it here. */
export function refuseGoTemplate(text: string): void {
  if (!goAction.test(text)) return;
  throw new PortolanError(
    "USAGE",
    `"${text}" is a Go template; write it in Handlebars, over the container: {{container.name}}, {{image}}, {{node}}, {{labels.team}}, {{env.SERVICE_TEAM}}`,
  );
}

/** `-retry-attempts`: a whole number, -1 for ever. Throws USAGE. */
export function parseAttempts(text: string): number {
  if (/^(-1|\d+)$/.test(text)) return Number(text);
  throw new PortolanError("USAGE", `"${text}" is not a number of attempts; write a whole number, or -1`);
}

/** `-retry-interval` in ms: a bare number means milliseconds, as for registrator. Throws USAGE. */
export function parseInterval(text: string): number {
  return /^\d+$/.test(text) ? parseDuration(`${text}ms`) : parseDuration(text);
}
