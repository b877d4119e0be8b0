import { describe, expect, it } from "vitest";
import {
  afterLook,
  afterRun,
  decide,
  decodeMemory,
  encodeMemory,
  type HealMemory,
  type NewLook,
} from "../../src/commands/heal-memory.ts";

const limits = { confirmations: 3, cooldown: 600_000, maxPerHour: 2 };
/** So many minutes after noon. */
const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1, 12, minutes)).toISOString();
const look = (minutes: number, over: Partial<NewLook> = {}): NewLook => ({
  host: "h1",
  expected: "e",
  trouble: 2,
  now: at(minutes),
  ...over,
});
/** What is remembered after these looks, and after the runs that they lead to; with the minutes of those. */
function history(looks: readonly NewLook[]) {
  let memory: HealMemory | undefined;
  const ran: string[] = [];
  let why = "";
  for (const one of looks) {
    memory = afterLook(memory, one, limits);
    const decision = decide(memory, one, limits);
    why = decision.why;
    if (decision.due) {
      memory = afterRun(memory, one.now);
      ran.push(one.now);
    }
  }
  return { memory: memory as HealMemory, ran, why };
}

describe("what heals", () => {
  it("is due after as many looks in a row of one host", () => {
    expect(history([0, 1].map((minutes) => look(minutes)))).toMatchObject({
      ran: [],
      why: "confirmed 2 of 3 times",
    });
    expect(history([0, 1, 2].map((minutes) => look(minutes))).ran).toEqual([at(2)]);
  });

  it.each<[what: string, looks: readonly NewLook[]]>([
    ["all is well between them", [look(0), look(1), look(2, { trouble: undefined }), look(3)]],
    ["the trouble is another one", [look(0), look(1), look(2, { trouble: 1 })]],
    ["something else is expected", [look(0), look(1), look(2, { expected: "other" })]],
    ["they are of several hosts", [look(0), look(0, { host: "h2" }), look(0, { host: "h3" })]],
    ["they are more than an hour apart", [look(0), look(1), look(62)]],
  ])("is not due where %s", (_, looks) => {
    expect(history(looks)).toMatchObject({ ran: [], why: expect.stringMatching(/^confirmed 1 of 3/) });
  });

  it("waits for the cooldown, whoever looks", () => {
    const first = [0, 1, 2].map((minutes) => look(minutes));
    const others = [3, 4, 5].map((minutes) => look(minutes, { host: "h2" }));
    const { ran, why } = history([...first, ...others]);
    expect(ran).toEqual([at(2)]);
    expect(why).toBe(`it ran at ${at(2)}, and --cooldown is 600 s`);
    expect(history([...first, ...others, look(12, { host: "h2" })]).ran).toEqual([at(2), at(12)]);
  });

  it("runs no more than so often within an hour, however long that goes on", () => {
    const looks = Array.from({ length: 240 }, (_, minutes) => look(minutes));
    const { ran, memory } = history(looks);
    const minutes = ran.map((time) => (Date.parse(time) - Date.parse(at(0))) / 60_000);
    expect(minutes).toEqual([2, 12, 62, 72, 122, 132, 182, 192]);
    expect(memory.runs.length).toBeLessThanOrEqual(2);
    expect(history(looks.slice(0, 40)).why).toBe("it ran 2 times within an hour, and --max-per-hour is 2");
  });

  it("takes a time that is yet to come for now, and writes that down", () => {
    const memory: HealMemory = {
      expected: "e",
      looks: { h1: { trouble: 2, count: 5, at: at(900) } },
      runs: [at(800)],
    };
    const now = look(0);
    const next = afterLook(memory, now, limits);
    expect(next.runs).toEqual([at(0)]);
    expect(decide(next, now, limits).due).toBe(false);
    expect(decide(afterLook(next, look(10), limits), look(10), limits).due).toBe(true);
  });

  it("is remembered as JSON, and as nothing where there is nothing", () => {
    const { memory } = history([look(0, { host: "h2" }), look(0), look(1), look(2), look(3)]);
    expect(decodeMemory(encodeMemory(memory) ?? "", at(4))).toEqual(memory);
    expect(encodeMemory(memory)).toBe(
      `{"expected":"e","looks":{"h1":{"trouble":2,"count":1,"at":"${at(3)}"}},"runs":["${at(2)}"]}`,
    );
    expect(encodeMemory(history([look(0), look(1, { trouble: undefined })]).memory)).toBeUndefined();
  });

  it.each(["", "{", "null", "[]", "{}", '{"expected":"e","looks":{},"runs":["x"]}', '{"expected":1}'])(
    "takes the note %j, which it cannot read, for a run of now",
    (text) => {
      expect(decodeMemory(text, at(0))).toEqual({ expected: "", looks: {}, runs: [at(0)] });
    },
  );
});
