import { instancesOf, type Snapshot } from "../../backends/backend.ts";
import type { Reads } from "../view.ts";

/** The services whose instances differ between two snapshots, among those that the templates read; sorted. */
export function changedServices(
  reads: readonly Reads[],
  before: Snapshot | undefined,
  after: Snapshot | undefined,
): readonly string[] {
  const names = new Set(reads.flatMap(({ services }) => [...services]));
  if (reads.some(({ all }) => all))
    for (const snapshot of [before, after])
      for (const name of snapshot?.services.keys() ?? []) names.add(name);
  const of = (snapshot: Snapshot | undefined, name: string) => snapshot && instancesOf(snapshot, name);
  return [...names]
    .filter(
      (name) => of(before, name) !== of(after, name) && (of(before, name)?.length || of(after, name)?.length),
    )
    .sort();
}
