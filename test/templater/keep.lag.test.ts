import { expect, it } from "vitest";
import { createLag } from "../../src/templater/keep/lag.ts";

it("a change waits to be rendered and then to be applied, and the oldest one counts", () => {
  const lag = createLag(0);
  expect([lag.hasNews(), lag.since(), lag.overdue()]).toEqual([false, undefined, undefined]);
  lag.changed();
  expect([lag.hasNews(), lag.since()]).toEqual([true, undefined]);
  expect(lag.overdue()).toBe("a change of 0 s ago is not applied yet");
  lag.rendering();
  const since = lag.since();
  expect([lag.hasNews(), typeof since]).toEqual([false, "number"]);
  lag.changed();
  lag.rendering();
  expect(lag.since()).toBe(since);
  lag.applied();
  expect([lag.hasNews(), lag.since(), lag.overdue()]).toEqual([false, undefined, undefined]);
});

it("a change that came while another one was applied is behind after it", () => {
  const lag = createLag(0);
  lag.changed();
  lag.rendering();
  lag.changed();
  lag.applied();
  expect([lag.hasNews(), lag.since()]).toEqual([true, undefined]);
  expect(lag.overdue()).toBeDefined();
});

it("nothing is overdue before its patience is over", () => {
  const lag = createLag(3_600_000);
  lag.changed();
  expect(lag.overdue()).toBeUndefined();
});
