/** The only file of the page that reads a clock or sets a timer. */

/** Milliseconds on a monotonic clock with an arbitrary zero. */
export function monotonic(): number {
  return performance.now();
}

/** Calls `action` every `ms`. */
export function every(ms: number, action: () => void): void {
  setInterval(action, ms);
}

/** Returns a function that makes `action` be called once before the next frame is drawn, however often it is called. */
export function beforeFrame(action: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      action();
    });
  };
}
