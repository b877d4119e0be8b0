import type { Role, State } from "../../instance.ts";
import { compare } from "../../instance.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import { type RoleSource, readRole, roleWords } from "../roles/role-source.ts";
import { readDuration } from "./durations.ts";
import { type Given, type Labels, splitList } from "./labels.ts";
import { limits, whyNoCheck, whyNoKey, whyNoTag, whyNoValue } from "./limits.ts";
import type { Notes } from "./notes.ts";

/** A value, and the rule that gave it in words. */
export interface Said<T> {
  readonly value: T;
  readonly from: string;
}

/** Keys with a meaning of their own; every other one becomes meta. */
const reserved =
  /^(name|id|tags|ignore|ip|port|network|internal|ports|weight|role|drain|deregister|require_healthy|check_.+)$/s;

/** Draining beats paused beats health. */
export function stateOf(container: Container): Said<State> {
  if (container.stopping) return { value: "draining", from: "its stop signal was sent" };
  if (container.paused) return { value: "paused", from: "docker pause" };
  const { health } = container;
  if (health === "none") return { value: "ready", from: "it runs, and has no HEALTHCHECK" };
  return { value: health === "healthy" ? "ready" : health, from: "its HEALTHCHECK" };
}

/** From 0 to 256; 1 where nothing else is said. */
export function weightOf(labels: Labels, port: ContainerPort, notes: Notes): Said<number> {
  const given = labels.get("weight");
  const text = given?.value.trim() ?? "";
  if (!given || text === "") return { value: 1, from: "the default" };
  const weight = Number(text);
  if (/^\d+$/.test(text) && weight <= 256) return { value: weight, from: given.from };
  notes.refused(given, "not a weight; use a whole number from 0 to 256 (1 is used)", port);
  return { value: 1, from: `the default, for ${given.from} is not a weight` };
}

/** The role, or how it is found. Undefined where nothing is said. */
export function roleOf(
  labels: Labels,
  port: ContainerPort,
  notes: Notes,
): Said<Role | RoleSource> | undefined {
  const given = labels.get("role");
  const text = given?.value.trim() ?? "";
  if (!given || text === "") return undefined;
  const value = readRole(text);
  if (value !== undefined) return { value, from: given.from };
  notes.refused(given, `not a role; use ${roleWords} (no role is used)`, port);
  return undefined;
}

/** The tags that the container gives. */
export function labelTags(labels: Labels, port: ContainerPort, notes: Notes): Said<readonly string[]> {
  const given = labels.get("tags");
  if (!given) return { value: [], from: "" };
  const tags = splitList(given.value).filter((tag) => {
    const why = whyNoTag(tag);
    if (why !== undefined) notes.refused(given, `a tag ${why}; change it (it is left out)`, port);
    return why === undefined;
  });
  if (tags.length > limits.tags)
    notes.refused(given, `more than ${limits.tags} tags; the others are left out`, port);
  return { value: tags.slice(0, limits.tags), from: given.from };
}

/** Everything that has no meaning of its own, by its key in lower case. */
export function metaOf(labels: Labels, port: ContainerPort, notes: Notes): ReadonlyMap<string, Given> {
  const meta = new Map<string, Given>();
  let size = 0;
  for (const key of labels.keys()) {
    const given = labels.get(key);
    if (reserved.test(key) || !given) continue;
    const whyKey = whyNoKey(key);
    const whyValue = whyNoValue(given.value);
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(given.value);
    if (whyKey !== undefined) notes.refused(given, `its key ${whyKey}; rename it (it is left out)`, port);
    else if (whyValue !== undefined) notes.refused(given, `${whyValue}; change it (it is left out)`, port);
    else if (size + bytes > limits.meta)
      notes.refused(given, `all meta together is longer than ${limits.meta} bytes (it is left out)`, port);
    else {
      meta.set(key, given);
      size += bytes;
    }
  }
  return meta;
}

/** What the registry should check, by key without `check_`. An empty value takes back a more general one. */
export function checksOf(labels: Labels, port: ContainerPort, notes: Notes): ReadonlyMap<string, Given> {
  const checks = new Map<string, Given>();
  for (const key of labels.keys()) {
    const name = /^check_(.+)$/s.exec(key)?.[1];
    const given = labels.get(key);
    if (name === undefined || !given || given.value.trim() === "") continue;
    const why = whyNoKey(name) ?? whyNoCheck(given.value);
    if (why !== undefined) notes.refused(given, `${why}; change it (the check is left out)`, port);
    else checks.set(name, given);
  }
  return new Map([...checks].sort(([a], [b]) => compare(a, b)));
}

/** Looks at what other parts of the registrator read, so that a mistake in it is told. */
export function checkLifecycle(labels: Labels, port: ContainerPort, notes: Notes): void {
  for (const key of ["drain", "deregister"]) {
    const given = labels.specific(key);
    if (given) notes.refused(given, "it counts for whole containers only; write it without the port", port);
  }
  const drain = labels.general("drain");
  if (drain && drain.value.trim() !== "" && readDuration(drain.value) === undefined) {
    notes.refused(drain, "not a duration; write e.g. 30s or 2m, at most 24h (the default is used)", port);
  }
  const deregister = labels.general("deregister");
  if (deregister && !/^(always|on-success|never|)$/.test(deregister.value.trim())) {
    notes.refused(deregister, "write always, on-success or never (--deregister is used)", port);
  }
}
