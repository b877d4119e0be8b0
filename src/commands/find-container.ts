import { PortolanError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { Known } from "../registrator/explain.ts";
import { shown } from "../registrator/rules/shown.ts";

/** The container that a command was given by name, id, or the beginning of an id. Throws CONTAINER_UNKNOWN. */
export function findContainer(wanted: string, known: readonly Known[]): Known {
  const exact = known.find(({ id, name }) => name === wanted.replace(/^\//, "") || id === wanted);
  if (exact) return exact;
  const byId = known.filter(({ id }) => id.startsWith(wanted));
  if (byId.length === 1 && byId[0]) return byId[0];
  if (byId.length > 1) {
    const names = byId.map(({ name, id }) => `${name} (${id.slice(0, 12)})`).join(", ");
    throw new PortolanError(
      "CONTAINER_UNKNOWN",
      `${shown(wanted)} begins several ids: ${names}; give more of it`,
    );
  }
  const close = nearest(
    wanted,
    known.map(({ name }) => name),
  );
  const hint = close === undefined ? "; this Docker has no container" : `; the nearest name is ${close}`;
  throw new PortolanError("CONTAINER_UNKNOWN", `there is no container ${shown(wanted)}${hint}`);
}
