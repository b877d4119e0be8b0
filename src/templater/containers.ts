import type { LocalContainer, LocalContainers } from "../local-containers.ts";
import type { Reads, World } from "./view.ts";

/** Which containers of this host a template asks for. */
export interface ContainerQuery {
  /** Docker's word for the state, or `any`. */
  readonly state: string;
  /** With this label, and with this value where there is one. */
  readonly label?: { readonly name: string; readonly value?: string };
  readonly name?: string;
  /** Docker's id; empty: none. */
  readonly id?: string;
  /** On this network. */
  readonly network?: string;
}

/** The states of containers that Docker lists without being asked for all. */
const up: ReadonlySet<string> = new Set(["running", "paused", "restarting"]);

/** Docker's words for what a container does. */
export const containerStates = [...up, "created", "exited", "removing", "dead"] as const;

/** True when the answer holds everything that is asked for. */
export function answers(known: LocalContainers, { state }: ContainerQuery): boolean {
  return known.all || up.has(state);
}

/** The containers that are asked for, by name. */
export function chosenContainers(
  known: LocalContainers,
  { state, label, name, id, network }: ContainerQuery,
): readonly LocalContainer[] {
  const hasLabel = (labels: LocalContainer["labels"]) =>
    label === undefined ||
    (Object.hasOwn(labels, label.name) && (label.value === undefined || labels[label.name] === label.value));
  return known.containers.filter(
    (one) =>
      (state === "any" || one.state.status === state) &&
      (name === undefined || one.name === name) &&
      (id === undefined || one.id === id) &&
      (network === undefined || one.networks.some((end) => end.name === network)) &&
      hasLabel(one.labels),
  );
}

/** True when none of the containers that the template read differs. */
export function sameContainers(
  { containers: queries }: Pick<Reads, "containers">,
  before: World["containers"],
  after: World["containers"],
): boolean {
  if (before === after || queries === undefined) return true;
  return changedContainers(queries.values(), before, after).size === 0 && isKnown(before) === isKnown(after);
}

const isKnown = (world: World["containers"]): world is LocalContainers =>
  world !== undefined && world !== "none";

/** The names of those containers, among the ones that are asked for, that differ between two moments. */
export function changedContainers(
  queries: Iterable<ContainerQuery>,
  before: World["containers"],
  after: World["containers"],
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const query of queries) {
    const [old, now] = [before, after].map((world) =>
      isKnown(world) && answers(world, query) ? chosenContainers(world, query) : [],
    );
    const [was, is] = [new Set(old), new Set(now)];
    for (const one of [...was, ...is]) if (!was.has(one) || !is.has(one)) names.add(one.name);
  }
  return names;
}

/** What Docker is to be asked for when templates read this. */
export function scopeOf(all: readonly Reads[]): "none" | "running" | "all" {
  const queries = all.flatMap(({ containers }) => [...(containers?.values() ?? [])]);
  if (queries.length === 0) return "none";
  return queries.every(({ state }) => up.has(state)) ? "running" : "all";
}
