// Which faults run when: in `npm test` one of each kind, and all of them on each backend in `npm run soak:faults`.
import { it, type TestFunction } from "vitest";
import type { FaultStore, StoreName } from "./store.ts";

/** Ten times the bound within which all has to be in order, in ms: what a store's clients promise is 5 s or less. */
export const within = 60_000;

/** Whether all of them run. */
export const everything: boolean = process.env.PORTOLAN_TEST_FAULTS === "all";

/** A test of a fault that takes long: in `npm test` it runs on the stores of `daily` only. */
export function faultTest(
  store: Pick<FaultStore, "name">,
  name: string,
  daily: readonly StoreName[],
  run: TestFunction,
): void {
  const runs = everything || daily.includes(store.name);
  it.skipIf(!runs).concurrent(runs ? name : `${name} (npm run soak:faults)`, run, 2 * within);
}
