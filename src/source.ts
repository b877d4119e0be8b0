import type { PortolanError } from "./errors.ts";

/** Why the latest read failed. `denied` will not heal by waiting, `unreachable` may. */
export interface Problem {
  readonly kind: "unreachable" | "denied";
  readonly error: PortolanError;
}

/**
 * What a source knows. Unknown (no answer yet), known and empty, and unreachable or denied are different
 * values. A problem beside a value means that the value is the last good one and may be stale.
 */
export type Observed<T> =
  | { readonly known: false; readonly problem?: Problem }
  | { readonly known: true; readonly value: T; readonly problem?: Problem };

/**
 * A watched piece of the world. Every value is immutable, complete and consistent; whatever did not change
 * is the same object as in the value before. A partial or failed read never becomes a value.
 */
export interface Source<T> {
  current(): Observed<T>;
  /** Calls `listener` after each change of `current()`, until the returned function is called. */
  subscribe(listener: () => void): () => void;
  /** Asks for a full read of the world soon, because something may have been missed. */
  refresh(): void;
  /** Ends the watching. The last value stays readable; no listener is called again. */
  close(): Promise<void>;
}

/** The part of a source that its driver writes. */
export interface Cell<T> {
  current(): Observed<T>;
  subscribe(listener: () => void): () => void;
  /** Publishes a value and ends any problem. The same object as before, with no problem, is no change. */
  set(value: T): void;
  /** Keeps the value and publishes why it may be stale. The same kind and message as before is no change. */
  fail(problem: Problem): void;
}

/** A cell that is unknown until its driver sets it. */
export function createCell<T>(): Cell<T> {
  const listeners = new Set<() => void>();
  let observed: Observed<T> = { known: false };

  const publish = (next: Observed<T>) => {
    observed = next;
    for (const listener of [...listeners]) if (listeners.has(listener)) listener();
  };

  return {
    current: () => observed,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set(value) {
      if (observed.known && observed.value === value && !observed.problem) return;
      publish({ known: true, value });
    },
    fail(problem) {
      const before = observed.problem;
      if (before?.kind === problem.kind && before.error.message === problem.error.message) return;
      publish({ ...observed, problem });
    },
  };
}
