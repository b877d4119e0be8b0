import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createRequests } from "../../src/backends/zookeeper/requests.ts";
import { waitFor } from "../servers/wait.ts";

const soon = { within: 10_000, every: 5 };

describe("the requests of a ZooKeeper connection", () => {
  it("end with a peer that drips bytes and never comes to an answer", async () => {
    const requests = createRequests();
    let why: string | undefined;
    requests.watch({ silence: 5_000, answer: 300 }, (reason) => {
      why = reason;
    });
    const drip = setInterval(() => requests.heard(), 5);
    const begun = performance.now();
    const asked = requests.ask(() => {}).catch((error: Error) => error.message);
    await waitFor("the end of patience", () => why, soon);
    clearInterval(drip);
    expect(performance.now() - begun).toBeGreaterThan(290);
    expect(why).toBe("no whole answer within 0.3 s");
    requests.fail(new Error("dropped"));
    expect(await asked).toBe("dropped");
  });

  it("go on for as long as each answer comes in time, however many wait", async () => {
    const requests = createRequests();
    const ends: string[] = [];
    requests.watch({ silence: 5_000, answer: 400 }, (why) => ends.push(why));
    const answers: (() => void)[] = [];
    const asked = Array.from({ length: 8 }, (_, n) =>
      requests.ask<number>((answer) => answers.push(() => answer(undefined, n))),
    );
    for (const answer of answers) {
      await sleep(100);
      answer();
    }
    expect(await Promise.all(asked)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(ends).toEqual([]);
    requests.fail(new Error("dropped"));
  });

  it("ask something when nothing was answered for a while, though bytes come", async () => {
    const requests = createRequests();
    let asked = 0;
    requests.watch(
      { silence: 50, answer: 5_000 },
      () => {},
      () => {
        asked += 1;
      },
    );
    const drip = setInterval(() => requests.heard(), 5);
    await waitFor("two questions", () => asked >= 2, soon);
    clearInterval(drip);
    requests.fail(new Error("dropped"));
  });
});
