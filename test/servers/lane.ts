// One direction of one proxied connection: what arrived, waiting for its turn to go on.
import type { Socket } from "node:net";

/** What happens to bytes: they go on, wait, or disappear. */
export type Traffic = "pass" | "hold" | "drop";

/** Settings of a direction, read anew for every chunk. */
export interface LaneRules {
  traffic: Traffic;
  /** Delay of every chunk, in ms. */
  latency: number;
  /** Bytes per second; `Infinity`: as many as come. */
  rate: number;
}

/** The events of a stream, in order. */
type Parcel = { readonly due: number } & (
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "end" }
  | { readonly kind: "reset" }
);

/** A direction of a connection. */
export interface Lane {
  /** Whether bytes or an end were swallowed: the stream can never be whole again. */
  isTorn(): boolean;
  /** Delivers what may go on now; call it after the rules changed, or when `to` appeared. */
  pump(): void;
  /** Forgets what waits. */
  close(): void;
}

/** What a lane connects, and whom it tells. */
export interface LaneSpec {
  readonly from: Socket;
  /** Undefined while it is not connected. */
  readonly to: () => Socket | undefined;
  readonly rules: () => Readonly<LaneRules>;
  /** Gets each chunk when it arrives. */
  readonly seen: (bytes: Buffer) => void;
  /** How many of `size` bytes may go on now; less makes the rest wait for the next `pump`. */
  readonly allowance: (size: number) => number;
  /** A reset of `from` has come through. */
  readonly reset: () => void;
}

/** Carries the stream of `from` to `to`. */
export function createLane({ from, to, rules, seen, allowance, reset }: LaneSpec): Lane {
  let waiting: Parcel[] = [];
  let torn = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  /** When the next bytes may go on at the rate that is set. */
  let freeAt = 0;

  const take = (parcel: { kind: "bytes"; bytes: Buffer } | { kind: "end" } | { kind: "reset" }): void => {
    if (closed) return;
    const { traffic, latency } = rules();
    if (traffic === "drop") {
      torn = true;
      return;
    }
    waiting.push({ ...parcel, due: performance.now() + latency });
    pump();
  };

  const pump = (): void => {
    if (closed) return;
    const { traffic, rate } = rules();
    if (traffic === "drop" && waiting.length > 0) {
      torn = true;
      waiting = [];
    }
    clearTimeout(timer);
    const target = to();
    if (traffic !== "pass" || target === undefined) return;
    // A twentieth of a second's worth at a time, and a byte at least.
    const portion = Math.max(1, Math.floor(rate / 20));
    for (;;) {
      const [next] = waiting;
      if (next === undefined || closed) return;
      // Timers may fire a little early; half a millisecond is not worth another one.
      const left = Math.max(next.due, rate === Infinity ? 0 : freeAt) - performance.now();
      if (left > 0.5) {
        timer = setTimeout(pump, left);
        return;
      }
      waiting.shift();
      if (next.kind === "reset") reset();
      else if (next.kind === "end") target.end();
      else {
        const wanted = Math.min(next.bytes.length, portion);
        const size = allowance(wanted);
        freeAt = performance.now() + (size / rate) * 1_000;
        if (size > 0 && !target.write(next.bytes.subarray(0, size))) {
          from.pause();
          target.once("drain", () => from.resume());
        }
        if (size < next.bytes.length) {
          waiting.unshift({ ...next, bytes: next.bytes.subarray(size) });
          if (size < wanted) return;
        }
      }
    }
  };

  from.on("data", (bytes: Buffer) => {
    seen(bytes);
    take({ kind: "bytes", bytes });
  });
  from.on("end", () => take({ kind: "end" }));
  from.on("error", () => take({ kind: "reset" }));

  return {
    isTorn: () => torn,
    pump,
    close: () => {
      closed = true;
      waiting = [];
      clearTimeout(timer);
    },
  };
}
