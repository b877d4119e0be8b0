import { onTestFinished } from "vitest";

/** Ends a templater once, at the latest with its test; and its state folder, which it has until then. */
export function endedWithTest(
  daemon: { stop(): Promise<void> },
  state: { close(): Promise<void> },
): () => Promise<void> {
  let isOver = false;
  const stop = async () => {
    if (isOver) return;
    isOver = true;
    await daemon.stop();
    await state.close();
  };
  onTestFinished(stop);
  return stop;
}
