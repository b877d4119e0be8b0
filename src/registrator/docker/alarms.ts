import { after } from "../../clock.ts";

/** At most one alarm for each key. */
export interface Alarms {
  /** Rings for the key after `ms`, in place of any earlier alarm of the key. */
  set(key: string, ms: number): void;
  cancel(key: string): void;
  clear(): void;
}

/** Alarms that call `ring` with their key. */
export function createAlarms(ring: (key: string) => void): Alarms {
  const cancels = new Map<string, () => void>();
  const cancel = (key: string) => {
    cancels.get(key)?.();
    cancels.delete(key);
  };
  return {
    set(key, ms) {
      cancel(key);
      cancels.set(
        key,
        after(ms, () => {
          cancels.delete(key);
          ring(key);
        }),
      );
    },
    cancel,
    clear() {
      for (const key of [...cancels.keys()]) cancel(key);
    },
  };
}
