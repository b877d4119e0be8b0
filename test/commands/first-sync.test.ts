import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Context } from "../../src/commands/context.ts";
import { showFirstSync } from "../../src/commands/first-sync.ts";
import type { Daemon } from "../../src/daemon.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A daemon that says what it is told to say, followed on a terminal. */
function followed() {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const write = (level: string) => (_fields: object, message: string) => say(`${level} ${message}`);
  const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  const { signal: stop } = new AbortController();
  const given = { terminal: true, settings: { values: {} }, say, print: say, log, stop };
  const firstSync = showFirstSync(given as unknown as Context);
  let reasons: readonly string[] = ["Docker has not answered yet"];
  let status: object = {};
  firstSync.follow(() => ({ notReady: () => reasons, status: () => status }) as unknown as Daemon);
  return {
    said,
    ...firstSync,
    is(next: readonly string[], shown: object = {}) {
      reasons = next;
      status = shown;
      vi.advanceTimersByTime(1_000);
    },
  };
}

const over = "\x1b[1A\x1b[2K";
const away = `${over}\x1b[1A`;
const instances = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ service: "web", id: `${at}` }));

it("counts what is registered and written, until all is in sync", () => {
  const { said, is, context } = followed();
  is(["Docker has not answered yet"]);
  const registrator = { instances: instances(3), backends: [{ held: instances(2) }, { held: instances(5) }] };
  is(["what it should hold\nis not known yet"], registrator);
  context.log.info({}, "registered");
  const templater = { targets: [{ reason: undefined }, { reason: "not rendered yet" }] };
  is(["b: not rendered yet"], { registrator, templater });
  is([]);
  is(["an outage of later on"]);
  context.log.info({}, "is not in its way");
  const [docker, counted] = [
    "first sync: Docker has not answered yet",
    "first sync: 2 of 3 instances: what it should hold is not known yet",
  ];
  const both = "first sync: 2 of 3 instances: 1 of 2 files: b: not rendered yet";
  expect(said).toEqual([
    ...[docker, `${over}${docker} 1 s`, `${over}${counted} 1 s`],
    ...[away, "info registered", `${counted} 1 s`],
    ...[`${over}${both} 2 s`, `${over}${both} 3 s`],
    ...[away, "in sync", "info is not in its way"],
  ]);
});

it("says nothing of what is in sync at once", () => {
  const { said, is } = followed();
  is([]);
  is([]);
  expect(said).toEqual([]);
});
