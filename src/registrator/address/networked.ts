import type { Container } from "../docker/container.ts";

/**
 * The container whose network this one uses: itself, or the one at the end of `--network container:…`, over any
 * number of hops. Undefined when one on the way does not run, or when they go round in a circle.
 */
export function networkedBy(
  container: Container,
  containers: ReadonlyMap<string, Container>,
): Container | undefined {
  const end = endOf(container, containers);
  return typeof end === "object" ? end : undefined;
}

/**
 * The container on the way of `--network container:…` that is not among these: its id, or what else the mode
 * names it by. Undefined when all are there.
 */
export function missingOnTheWay(
  container: Container,
  containers: ReadonlyMap<string, Container>,
): string | undefined {
  const end = endOf(container, containers);
  return typeof end === "string" ? end : undefined;
}

/** Where the way leads: to a container, to one that is missing, or round in a circle. */
function endOf(
  container: Container,
  containers: ReadonlyMap<string, Container>,
): Container | string | undefined {
  const seen = new Set<Container>();
  let at = container;
  for (;;) {
    const target = /^container:(.+)$/s.exec(at.networkMode)?.[1];
    if (target === undefined) return at;
    if (seen.has(at)) return undefined;
    seen.add(at);
    const next = find(target, containers);
    if (next === undefined) return target;
    at = next;
  }
}

/** By id, then by name, then by the beginning of its id, as Docker itself takes one. */
function find(target: string, containers: ReadonlyMap<string, Container>): Container | undefined {
  const byId = containers.get(target);
  if (byId) return byId;
  const all = [...containers.values()];
  const byName = all.find(({ name }) => name === target.replace(/^\//, ""));
  if (byName) return byName;
  const byPrefix = all.filter(({ id }) => id.startsWith(target));
  return byPrefix.length === 1 ? byPrefix[0] : undefined;
}
