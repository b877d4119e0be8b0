import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { pause } from "../../src/clock.ts";
import type { Context } from "../../src/commands/context.ts";
import { createWaitLine } from "../../src/commands/wait-line.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const over = "\x1b[1A\x1b[2K";
const { signal } = new AbortController();

/** What a command says that waits for so many ms twice, and logs and tells something meanwhile. */
async function said(ms: number, terminal: boolean, logFormat?: "json") {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const write = (_fields: object, message: string) => say(message);
  const log = { debug: write, info: write, warn: write, error: write };
  const given = { terminal, settings: { values: { logFormat } }, say, print: say, log };
  const { context, during } = createWaitLine(given as unknown as Context);
  const first = during("waits for a", async () => {
    await pause(ms, signal);
    context.log.info({}, "logged");
    context.say("told");
    return "answer";
  });
  await vi.advanceTimersByTimeAsync(ms);
  say(await first);
  const second = during("waits for b", async () => {
    await pause(ms, signal);
    throw new Error("refused");
  }).catch((error: Error) => say(error.message));
  await vi.advanceTimersByTimeAsync(ms);
  await second;
  await vi.advanceTimersByTimeAsync(5_000);
  return lines;
}

it("tells on a terminal what is waited for, until it is over, whatever comes of it", async () => {
  expect(await said(2_500, true)).toEqual([
    ...["waits for a", `${over}waits for a 1 s`],
    ...[`${over}\x1b[1A`, "logged", "waits for a 2 s", `${over}\x1b[1A`, "told", "waits for a 2 s"],
    ...[`${over}\x1b[1A`, "answer"],
    ...["waits for b", `${over}waits for b 1 s`, `${over}\x1b[1A`, "refused"],
  ]);
});

it.each<[what: string, ms: number, terminal: boolean, logFormat?: "json"]>([
  ["what is over within a second", 900, true],
  ["anything where nobody looks on", 2_500, false],
  ["anything beside a log for programs", 2_500, true, "json"],
])("says nothing of %s", async (_what, ms, terminal, logFormat) => {
  expect(await said(ms, terminal, logFormat)).toEqual(["logged", "told", "answer", "refused"]);
});

it("tells what is at hand, too, once a second at most", async () => {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const context = { terminal: true, settings: { values: {} }, say, print: say, log: {} };
  const { during, at } = createWaitLine(context as unknown as Context);
  await during("turns all", async () => {
    for (const file of ["a", "b", "c", "d"]) {
      at(`turns ${file}`);
      vi.advanceTimersByTime(600);
    }
  });
  expect(lines).toEqual([...["turns all", `${over}turns c`, `${over}turns c 1 s`], `${over}\x1b[1A`]);
});
