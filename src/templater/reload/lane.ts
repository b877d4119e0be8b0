import { monotonic, pause } from "../../clock.ts";

/** The work in hand or done last of each lane. */
const lanes = new Map<string, Promise<void>>();
/** When each lane's last reload ended. */
const reloads = new Map<string, number>();

/** ms between two reloads: HAProxy 2.6 loses a signal that comes within 60 ms of another. */
const apart = 100;

/**
 * Does `work` when all earlier work of the same lane has ended. All targets of one process that reload one
 * proxy share its lane. Settles as the work does.
 */
export function inLane<T>(lane: string, work: () => Promise<T>): Promise<T> {
  const mine = (lanes.get(lane) ?? Promise.resolve()).then(work);
  const over = () => {};
  lanes.set(lane, mine.then(over, over));
  return mine;
}

/** Reloads within a lane, a little later than the reload before. */
export async function spaced<T>(lane: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  await pause((reloads.get(lane) ?? Number.NEGATIVE_INFINITY) + apart - monotonic(), signal);
  return work().finally(() => reloads.set(lane, monotonic()));
}
