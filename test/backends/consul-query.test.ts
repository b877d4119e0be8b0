import { describe, expect, it } from "vitest";
import type { Answer, Question } from "../../src/backends/consul/api.ts";
import { watchQuery } from "../../src/backends/consul/query.ts";
import { createRetries } from "../../src/backends/consul/retries.ts";
import { PortolanError } from "../../src/errors.ts";
import { waitFor } from "../servers/wait.ts";

const read = ({ body }: Answer) => String(body);

/** What is less, and how long that is held. */
interface Manner {
  readonly grace: number;
  isLess(now: string, before: string): boolean;
}

/** Watches a script of answers; when it is over, the query is held until it is cancelled. */
function play(...parts: readonly (Answer | Error | Manner)[]) {
  const manner = parts.find((part): part is Manner => "isLess" in part);
  const script = parts.filter((part): part is Answer | Error => part !== manner);
  const left = [...script];
  const asked: Question[] = [];
  const ask = (question: Question, signal: AbortSignal): Promise<Answer> => {
    asked.push(question);
    const next = left.shift();
    if (next instanceof Error) return Promise.reject(next);
    if (next) return Promise.resolve(next);
    return new Promise((_, reject) => {
      const cancelled = () => reject(new PortolanError("ABORTED", "cancelled"));
      signal.addEventListener("abort", cancelled);
    });
  };
  const source = watchQuery(
    { ask, read, isLess: manner?.isLess ?? (() => false) },
    createRetries(),
    manner?.grace,
  );
  const values: unknown[] = [];
  source.subscribe(() => {
    const { problem, ...now } = source.current();
    values.push(problem ? `${problem.kind}, ${now.known ? now.value : "unknown"}` : now.known && now.value);
  });
  const done = () => waitFor("the script's end", () => asked.length > script.length, { within: 20_000 });
  return { source, asked, values, done };
}

const unreachable = new PortolanError("BACKEND_UNREACHABLE", "down");

describe("watchQuery", () => {
  it("asks on from the index of the answer, and from 1 when that is 0", async () => {
    const { asked, values, done, source } = play({ index: 0, body: "a" }, { index: 7, body: "b" });
    await done();
    expect(asked.map(({ index }) => index)).toEqual([0, 1, 7]);
    expect(values).toEqual(["a", "b"]);
    await source.close();
  });

  it("takes an answer that says the same for no change, and a moved index for none either", async () => {
    const same = { index: 5, body: "a" };
    const { values, done, source } = play(same, same, { index: 6, body: "a" }, { index: 7, body: "a" });
    await done();
    expect(values).toEqual(["a"]);
    await source.close();
  });

  it("asks once more, consistently and without an index, when the answer is older than one before", async () => {
    const { asked, values, done, source } = play(
      { index: 50, body: "full" },
      { index: 3, body: "empty" },
      { index: 51, body: "full still" },
      { index: 4, body: "" },
      { index: 4, body: "new world" },
    );
    await done();
    expect(asked).toEqual([
      { index: 0, consistent: false },
      { index: 50, consistent: false },
      { index: 0, consistent: true },
      { index: 51, consistent: false },
      { index: 0, consistent: true },
      { index: 4, consistent: false },
    ]);
    expect(values).toEqual([
      "full",
      "unreachable, full",
      "full still",
      "unreachable, full still",
      "new world",
    ]);
    await source.close();
  });

  it("keeps the value through failures, says what is wrong, and then asks without an index", async () => {
    const denied = new PortolanError("BACKEND_DENIED", "no");
    const { asked, values, done, source } = play(unreachable, { index: 9, body: "a" }, unreachable, denied, {
      index: 9,
      body: "a",
    });
    await done();
    expect(asked.map(({ index }) => index)).toEqual([0, 0, 9, 0, 0, 9]);
    expect(values).toEqual(["unreachable, unknown", "a", "unreachable, a", "denied, a", "a"]);
    await source.close();
  });

  it("reads in full when it is asked to, and says nothing after close", async () => {
    const { source, asked, values, done } = play({ index: 9, body: "a" });
    await done();
    source.refresh();
    await waitFor("the next question", () => asked.length === 3, { within: 10_000 });
    expect(asked.map(({ index }) => index)).toEqual([0, 9, 0]);
    await source.close();
    expect(values).toEqual(["a"]);
  });

  it("retries three times a second at most, however many queries wait, and all of them once one got through", async () => {
    let up = false;
    let asked = 0;
    const ask = (): Promise<Answer> => {
      asked += 1;
      if (!up) return Promise.reject(unreachable);
      return new Promise((resolve) => setImmediate(resolve, { index: 1, body: "a" }));
    };
    const retries = createRetries();
    const sources = Array.from({ length: 200 }, () =>
      watchQuery({ ask, read, isLess: () => false }, retries),
    );
    await waitFor("the first questions", () => asked >= 200, { within: 10_000 });
    const begun = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(asked - 200).toBeLessThanOrEqual(Math.ceil((performance.now() - begun) / 350) + 1);
    expect(asked).toBeGreaterThan(200);
    up = true;
    await waitFor("all to be known", () => sources.every((source) => source.current().known), {
      within: 20_000,
    });
    for (const source of sources) await source.close();
  });

  it("takes an older answer that says the same for no news", async () => {
    const { asked, values, done, source } = play({ index: 50, body: "same" }, { index: 3, body: "same" });
    await done();
    expect(asked.map(({ index, consistent }) => [index, consistent])).toEqual([
      [0, false],
      [50, false],
      [3, false],
    ]);
    expect(values).toEqual(["same"]);
    await source.close();
  });
});

describe("a Consul that came back without what it had", () => {
  const isLess = (now: string, before: string) => [...before].some((letter) => !now.includes(letter));

  it("is given time to be filled again, and then believed", async () => {
    const { values, done, source } = play(
      { grace: 20_000, isLess },
      { index: 50, body: "abc" },
      { index: 3, body: "" },
      { index: 3, body: "" },
      { index: 4, body: "ab" },
      { index: 5, body: "abcd" },
      { index: 6, body: "d" },
    );
    await done();
    expect(values).toEqual(["abc", "unreachable, abc", "unreachable, abc", "abcd", "d"]);
    await source.close();
  });

  it("is believed when nobody fills it in time", async () => {
    const { asked, values, source } = play(
      { grace: 500, isLess },
      { index: 50, body: "abc" },
      { index: 3, body: "a" },
      { index: 3, body: "a" },
    );
    await waitFor("the question after the time", () => asked.length === 5, { within: 10_000 });
    expect(asked.at(-1)).toEqual({ index: 0, consistent: false });
    await source.close();
    expect(values.slice(0, 3)).toEqual(["abc", "unreachable, abc", "unreachable, abc"]);
  });
});
