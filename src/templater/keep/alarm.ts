import { after } from "../../clock.ts";

/** One timer that is set again and again: only the last time counts. */
export interface Alarm {
  /** Rings after `ms`, and not when it was to ring before. */
  set(ms: number): void;
  cancel(): void;
}

/** Calls `ring` whenever its time has come. */
export function createAlarm(ring: () => void): Alarm {
  let cancel = () => {};
  return {
    set(ms) {
      cancel();
      cancel = after(Math.max(0, ms), ring);
    },
    cancel: () => cancel(),
  };
}
