// What may happen to events on their way: they are lost, doubled, late, and so out of order.

/** How often each thing happens, as shares of all events; the rest arrives as it was sent. */
export interface EventFaults {
  readonly dropped: number;
  readonly doubled: number;
  readonly delayed: number;
  /** ms of the longest delay. */
  readonly longest: number;
}

/** Stands between a stream of lines and its reader. */
export interface EventDisturber {
  /** Takes the next piece of the stream, however it was cut. */
  readonly take: (text: string) => void;
  /** Forgets what is still under way. */
  readonly end: () => void;
}

/** How many events met which fate. */
export type Fates = Record<"dropped" | "doubled" | "delayed" | "passed", number>;

/** Disturbs whole lines; `random` gives 0 to 1, and `fates` is counted up. */
export function disturbEvents(
  faults: EventFaults,
  random: () => number,
  fates: Fates,
): (send: (line: string) => void) => EventDisturber {
  return (send) => {
    const underWay = new Set<NodeJS.Timeout>();
    let rest = "";
    const late = (line: string, after: number): void => {
      const timer = setTimeout(() => {
        underWay.delete(timer);
        send(line);
      }, after);
      underWay.add(timer);
    };
    const meetFate = (line: string): void => {
      const lot = random();
      const { dropped, doubled, delayed, longest } = faults;
      if (lot < dropped) fates.dropped += 1;
      else if (lot < dropped + doubled) {
        fates.doubled += 1;
        send(line);
        late(line, random() * longest);
      } else if (lot < dropped + doubled + delayed) {
        fates.delayed += 1;
        late(line, random() * longest);
      } else {
        fates.passed += 1;
        // A line may come in two pieces at any time.
        const cut = Math.floor(random() * line.length);
        send(line.slice(0, cut));
        send(line.slice(cut));
      }
    };
    return {
      take: (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.trim() !== "") meetFate(`${line}\n`);
      },
      end: () => {
        for (const timer of underWay) clearTimeout(timer);
        underWay.clear();
      },
    };
  };
}
