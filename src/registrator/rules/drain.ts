import type { Container } from "../docker/container.ts";
import { readDuration } from "./durations.ts";
import { readLabels } from "./labels.ts";

/** ms that requests in flight are given when no container says. */
const usualDrain = 5000;
/** ms of the longest wait at the end of a registrator. */
const longestDrain = 600_000;

/** ms that a container's DRAIN gives to requests in flight; undefined when it gives none that can be read. */
export function drainOf(container: Container, prefix: string): number | undefined {
  return readDuration(readLabels(container, undefined, prefix).get("drain")?.value ?? "");
}

/** ms that a registrator which takes all its records away waits before: the longest DRAIN of the containers. */
export function drainOfAll(containers: Iterable<Container>, prefix: string): number {
  const each = [...containers].map((container) => drainOf(container, prefix) ?? usualDrain);
  return Math.min(Math.max(0, ...each), longestDrain);
}
