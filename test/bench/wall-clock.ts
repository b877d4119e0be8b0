/**
 * The wall clock to a fraction of a millisecond, as Docker stamps its events. `performance.timeOrigin` is read
 * once, at the start, and the monotonic clock drifts away from the wall clock afterwards, so it is compared
 * again right before each measurement.
 */
let offset = performance.timeOrigin;

/** Compares the clocks: spins, up to a millisecond, until the wall clock ticks. */
export function anchor(): void {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  offset = now - performance.now();
}

/** Unix time in ms, with fractions. */
export function wallClock(): number {
  return offset + performance.now();
}
