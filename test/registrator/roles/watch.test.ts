import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Probe } from "../../../src/registrator/roles/probe.ts";
import type { Finding } from "../../../src/registrator/roles/standing.ts";
import { type Followed, probing, watchRoles } from "../../../src/registrator/roles/watch.ts";
import { advance, monotonic, reset } from "../virtual-clock.ts";

vi.mock("../../../src/clock.ts", () => import("../virtual-clock.ts"));

const pace = { interval: 1000, timeout: 800, rise: 2, fall: 3 };
const master: Finding = { role: "master" };
const slave: Finding = { role: "slave" };

/** A server that answers what a test says, or nothing. */
function server(id: string, life = "1") {
  const one = {
    answer: slave as Finding | "silence" | Error,
    asked: [] as number[],
    open: 0,
    followed: {
      id,
      life,
      begin: probing((): Probe => {
        one.open += 1;
        return {
          ask: (signal) => {
            one.asked.push(Math.round(monotonic()));
            if (one.answer instanceof Error) return Promise.reject(one.answer);
            if (one.answer !== "silence") return Promise.resolve(one.answer);
            return new Promise((_, reject) =>
              signal.addEventListener("abort", () => reject(new Error("no answer in time"))),
            );
          },
          close: () => {
            one.open -= 1;
          },
        };
      }, pace),
    } satisfies Followed,
  };
  return one;
}

beforeEach(() => reset(1));

describe("watchRoles", () => {
  it("confirms a master 100 ms later and then asks at the interval", async () => {
    const one = server("a");
    one.answer = master;
    const watch = watchRoles(() => {});
    watch.follow([one.followed]);
    await advance(0);
    expect(watch.standing("a")?.finding).toBeUndefined();
    await advance(100);
    expect(watch.standing("a")?.finding).toEqual(master);
    await advance(5_000);
    expect(one.asked.slice(0, 2)).toEqual([0, 100]);
    const gaps = one.asked.slice(2).map((at, index) => at - (one.asked[index + 1] ?? 0));
    expect(gaps.length).toBeGreaterThanOrEqual(4);
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(900);
    for (const gap of gaps) expect(gap).toBeLessThanOrEqual(1100);
    watch.close();
    await advance(0);
    expect(one.open).toBe(0);
  });

  it("tells of each change once, and lets no silent server delay another", async () => {
    const silent = server("silent");
    silent.answer = "silence";
    const lively = server("lively");
    let told = 0;
    const watch = watchRoles(() => {
      told += 1;
    });
    watch.follow([silent.followed, lively.followed]);
    await advance(0);
    expect(watch.standing("lively")?.finding).toEqual(slave);
    expect(told).toBe(1);
    lively.answer = master;
    await advance(1_300);
    expect(watch.standing("lively")?.finding).toEqual(master);
    expect(watch.standing("silent")).toMatchObject({ finding: undefined, problem: "no answer in time" });
    expect(told).toBe(3);
    await advance(10_000);
    expect(told).toBe(3);
    watch.close();
  });

  it("keeps what it knows of servers that stay, and knows nothing of another life", async () => {
    const one = server("a");
    const other = server("b");
    const watch = watchRoles(() => {});
    watch.follow([one.followed, other.followed]);
    await advance(0);
    one.answer = new Error("down");
    watch.follow([one.followed]);
    await advance(0);
    expect(watch.standing("a")?.finding).toEqual(slave);
    expect(watch.standing("b")).toBeUndefined();
    expect(other.open).toBe(0);
    const next = server("a", "2");
    next.answer = "silence";
    watch.follow([next.followed]);
    await advance(0);
    expect(watch.standing("a")?.finding).toBeUndefined();
    expect(one.open).toBe(0);
    watch.close();
    await advance(1_000);
    expect(next.open).toBe(0);
  });
});

describe("a role from before", () => {
  it("counts until the first answer, and against no answer", async () => {
    const one = server("a");
    one.answer = "silence";
    const watch = watchRoles(() => {});
    watch.follow([one.followed]);
    watch.recall("a", master);
    await advance(0);
    expect(watch.standing("a")?.finding).toEqual(master);
    one.answer = slave;
    await advance(2_000);
    expect(watch.standing("a")?.finding).toEqual(slave);
    watch.recall("a", master);
    expect(watch.standing("a")?.finding).toEqual(slave);
    watch.close();
  });

  it("is confirmed by one probe, and unknown after three without an answer", async () => {
    const confirmed = server("a");
    confirmed.answer = master;
    const silent = server("b");
    silent.answer = "silence";
    const watch = watchRoles(() => {});
    watch.follow([confirmed.followed, silent.followed]);
    for (const id of ["a", "b"]) watch.recall(id, master);
    await advance(0);
    expect(watch.standing("a")?.finding).toEqual(master);
    await advance(5_000);
    expect(watch.standing("a")?.finding).toEqual(master);
    expect(watch.standing("b")?.finding).toBeUndefined();
    watch.close();
  });

  it("begins another life of an instance when what the one before does has ended", async () => {
    const begun: string[] = [];
    let over = () => {};
    const lifeOf = (life: string) => ({
      id: "a",
      life,
      begin: () => {
        begun.push(life);
        return new Promise<void>((resolve) => {
          over = resolve;
        });
      },
    });
    const watch = watchRoles(() => {});
    watch.follow([lifeOf("1")]);
    watch.follow([lifeOf("2")]);
    watch.follow([lifeOf("3")]);
    await advance(1_000);
    expect(begun).toEqual(["1"]);
    over();
    await advance(0);
    expect(begun).toEqual(["1", "3"]);
    const closed = watch.close();
    over();
    await closed;
  });
});
