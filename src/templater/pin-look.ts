import type { Pin } from "./pins.ts";

/**
 * Whether a rollback is in force, at the beginning of each pass. It mostly is not, so a change does not wait for the
 * answer: what the look after the pass before has found holds until something tells of another one.
 */
export interface PinLook {
  /** What is in force now. Does not wait while it is known that nothing is. */
  begin(): Promise<Pin | undefined>;
  /** Looks again, in case that nothing has told of one that came. True when one is in force. */
  end(): Promise<boolean>;
  /** One may have come or gone. */
  changed(): void;
}

/** `read` says what is in force; where it rejects, so does the look, and the next one asks again. */
export function createPinLook(read: () => Promise<Pin | undefined>): PinLook {
  let isFree = false;
  let last: Promise<Pin | undefined> | undefined;
  const look = async () => {
    const mine = read();
    last = mine;
    const pin = await mine;
    // Else it was told of one meanwhile.
    if (last === mine) isFree = pin === undefined;
    return pin;
  };
  return {
    begin: async () => (isFree ? undefined : look()),
    end: async () => (await look()) !== undefined,
    changed() {
      isFree = false;
      last = undefined;
    },
  };
}
