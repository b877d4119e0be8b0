import type { Container } from "../docker/container.ts";

/**
 * The container whose network this one uses: itself, or the one at the end of `--network container:…`, over any
 * number of hops. Undefined when one on the way does not run, or when they go round in a circle.
 */
export function networkedBy(
  container: Container,
  containers: ReadonlyMap<string, Container>,
): Container | undefined {
  const seen = new Set<Container>();
  let at: Container | undefined = container;
  while (at !== undefined) {
    const target: string | undefined = /^container:(.+)$/s.exec(at.networkMode)?.[1];
    if (target === undefined) return at;
    if (seen.has(at)) return undefined;
    seen.add(at);
    at = find(target, containers);
  }
  return undefined;
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
