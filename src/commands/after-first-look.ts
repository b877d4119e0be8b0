import type { Backend, Observation, Snapshot } from "../backends/backend.ts";
import { createCell } from "../source.ts";

/**
 * A backend of which nothing is known before `seen`: it is empty because nobody has looked yet, and no file must shrink
 * for that. Where `seen` rejects, nothing ever is.
 */
export function afterFirstLook(backend: Backend, seen: Promise<void>): Backend {
  return {
    ...backend,
    observe(interest) {
      const cell = createCell<Snapshot>();
      let wanted = interest;
      let inner: Observation | undefined;
      let isClosed = false;
      const tell = () => {
        const now = inner?.current();
        if (now?.problem) cell.fail(now.problem);
        else if (now?.known) cell.set(now.value);
      };
      seen.then(
        () => {
          if (isClosed) return;
          inner = backend.observe(wanted);
          inner.subscribe(tell);
          tell();
        },
        () => {},
      );
      return {
        current: cell.current,
        subscribe: cell.subscribe,
        refresh: () => inner?.refresh(),
        want(next) {
          wanted = next;
          inner?.want(next);
        },
        async close() {
          isClosed = true;
          await inner?.close();
        },
      };
    },
  };
}
