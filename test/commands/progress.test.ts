import { expect, it, vi } from "vitest";
import { createProgress } from "../../src/commands/progress.ts";

/** What is said, on a terminal or elsewhere. */
function progress(terminal: boolean) {
  const said: string[] = [];
  return { said, ...createProgress({ terminal, say: (line) => void said.push(line) }) };
}

it("tells each wait once where nobody looks on", () => {
  const { said, step, waiting } = progress(false);
  waiting("waits for a, b");
  waiting("waits for a, b");
  waiting("waits for b");
  waiting(undefined);
  step("done");
  expect(said).toEqual(["waits for a, b", "waits for b", "done"]);
});

it("says of which part it speaks", () => {
  const { said, step, waiting, part } = progress(false);
  part("1 of 2");
  waiting("waits for a");
  step("done");
  part("");
  step("all done");
  expect(said).toEqual(["1 of 2: waits for a", "1 of 2: done", "all done"]);
});

it("takes away what it told of a wait, and no more than that", () => {
  const { said, step, waiting, clear } = progress(true);
  step("begins");
  waiting("waits for a");
  clear();
  clear();
  expect(said).toEqual(["begins", "waits for a", "\x1b[1A\x1b[2K\x1b[1A"]);
});

it("tells on a terminal for how long something has been waited for, in one line", () => {
  vi.useFakeTimers();
  try {
    const { said, step, waiting, aside } = progress(true);
    const over = "\x1b[1A\x1b[2K";
    step("begins");
    waiting("waits for a, b");
    vi.advanceTimersByTime(2_500);
    waiting("waits for b");
    aside(() => said.push("a line of another one"));
    waiting(undefined);
    vi.advanceTimersByTime(5_000);
    step("done");
    waiting(`waits for ${"x".repeat(100)}`);
    waiting(undefined);
    expect(said).toEqual([
      "begins",
      "waits for a, b",
      `${over}waits for a, b 1 s`,
      `${over}waits for a, b 2 s`,
      `${over}waits for b 3 s`,
      `${over}\x1b[1A`,
      "a line of another one",
      "waits for b 3 s",
      `${over}done`,
      `waits for ${"x".repeat(58)}…`,
    ]);
  } finally {
    vi.useRealTimers();
  }
});
