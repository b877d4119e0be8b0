import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import { close, nearest } from "../nearest.ts";
import { type Override, type OverrideTarget, overrideName } from "../override.ts";

/** What an order is about, and its records. */
export interface Ordered {
  readonly target: OverrideTarget;
  readonly instances: readonly Instance[];
}

/** What targets are found in. */
export interface Places {
  readonly records: readonly Instance[];
  /** Overrides that stand already: what drains may be in no record. */
  readonly all: ReadonlyMap<string, Override>;
  /** False where no record names its owner and its container. */
  readonly isWhole: boolean;
}

/** Throws FAILED for an id that is unknown, begins several ids, or is no registrator's. */
export function byId(wanted: string, { records, all, isWhole }: Places): Ordered {
  const ordered = [...all.values()].flatMap(({ target: { id, ...rest } }) =>
    id === undefined ? [] : { ...rest, id },
  );
  const known = [...new Set([...records, ...ordered].map(({ id }) => id))];
  const ids = known.includes(wanted) ? [wanted] : known.filter((id) => id.startsWith(wanted));
  const [id] = ids;
  if (id === undefined) {
    const meant = close(wanted, known);
    const some =
      meant === undefined ? "`portolan services` lists those that are there" : `the nearest id is ${meant}`;
    const hint = known.length === 0 ? "the backend holds none" : some;
    throw new PortolanError("FAILED", `there is no instance ${wanted}; ${hint}`);
  }
  if (ids.length > 1) {
    throw new PortolanError("FAILED", `${wanted} begins several ids: ${ids.join(", ")}; give more of it`);
  }
  const instances = records.filter((one) => one.id === id);
  const nodes = new Set(instances.map((one) => one.node));
  if (nodes.size > 1) {
    throw new PortolanError(
      "FAILED",
      `${id} stands on several nodes: ${[...nodes].join(", ")}; give each its own id`,
    );
  }
  const [first] = instances;
  const before = ordered.find((target) => target.id === id);
  if (first === undefined && before) return { target: before, instances };
  if (first === undefined || (isWhole && (first.owner === undefined || first.container === undefined))) {
    const why = "was not registered by Portolan, so nobody would apply the order";
    throw new PortolanError("FAILED", `${id} ${why}; change it where it was registered`);
  }
  const { node, container } = first;
  // Where the records do not name the container, the registrator has written it into an order that stands.
  const its = container?.id ?? before?.container;
  return { target: { id, node, ...(its !== undefined && { container: its }) }, instances };
}

/** Throws FAILED for a node of which the backend knows nothing. */
export async function ofNode(
  node: string,
  { records, all, isWhole }: Places,
  isAlive: () => Promise<boolean>,
): Promise<Ordered> {
  const owned = records.filter(({ owner }) => owner !== undefined || !isWhole);
  const instances = owned.filter((one) => one.node === node);
  const target = { node };
  if (instances.length > 0 || all.has(overrideName(target)) || (await isAlive()))
    return { target, instances };
  const meant = nearest(
    node,
    owned.map((one) => one.node),
  );
  const hint = meant === undefined ? "the backend holds no instance" : `the nearest node is ${meant}`;
  throw new PortolanError("FAILED", `there is no node ${node}; ${hint}`);
}
