/** Runs one work at a time, in the order in which they came, whatever becomes of them. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>;

/** Nobody's turn yet. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const run = last.then(work, work);
    last = run.catch(() => {});
    return run;
  };
}
