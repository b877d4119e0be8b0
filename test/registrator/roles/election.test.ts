import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Ballot } from "../../../src/registrator/roles/election.ts";
import type { Promote } from "../../../src/registrator/roles/promotion.ts";
import { electing, watchRoles } from "../../../src/registrator/roles/watch.ts";
import fc from "../../property.ts";
import { advance, chance, monotonic, pause, reset } from "../virtual-clock.ts";

vi.mock("../../../src/clock.ts", () => import("../virtual-clock.ts"));

const ttl = 15;

/** A lock as a store keeps it, and what a test does to the way there. */
function store() {
  let holder: { name: string; token: number; until: number } | undefined;
  let token = 0;
  const listeners = new Set<() => void>();
  const away = new Set<string>();
  const now = () => {
    if (holder && holder.until <= monotonic()) holder = undefined;
    return holder;
  };
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const silence = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      const leave = () => reject(new Error("no answer in time"));
      if (signal.aborted) leave();
      signal.addEventListener("abort", leave, { once: true });
    });

  return {
    away,
    holder: () => now()?.name,
    take(name: string) {
      token += 1;
      holder = { name, token, until: monotonic() + ttl * 1000 };
      tell();
    },
    /** One process of a contender. */
    ballot(contender: string): Ballot {
      let mine: number | undefined;
      let isNew = true;
      return {
        async renew(signal) {
          if (away.has(contender)) return silence(signal);
          // The way there, and the way back.
          await Promise.race([pause(Math.floor(chance() * 200)), silence(signal)]);
          if (away.has(contender)) return silence(signal);
          const held = now();
          const follows = isNew && held?.name === contender ? { follows: String(held.token) } : {};
          isNew = false;
          if (!held || "follows" in follows) {
            token += 1;
            mine = token;
            holder = { name: contender, token, until: monotonic() + ttl * 1000 };
            tell();
          } else if (held.token === mine) held.until = monotonic() + ttl * 1000;
          const answer =
            holder?.token === mine
              ? { held: true as const, token: String(mine), ...follows, ttl }
              : { held: false as const, holder: holder?.name ?? "" };
          await Promise.race([pause(Math.floor(chance() * 200)), silence(signal)]);
          return answer;
        },
        watch: () => ({
          subscribe(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
          },
          close: async () => {},
        }),
        async release() {
          if (mine === undefined || now()?.token !== mine) return;
          holder = undefined;
          tell();
        },
      };
    },
  };
}

/** A process that contends under a name. */
function candidate(at: ReturnType<typeof store>, id: string, keeps = false, promote?: Promote) {
  const watch = watchRoles(() => {});
  const enter = () =>
    watch.follow([
      {
        id,
        life: "1",
        begin: electing(
          () => at.ballot(id),
          () => keeps,
          promote,
        ),
      },
    ]);
  enter();
  return { enter, watch, leave: () => watch.follow([]), role: () => watch.standing(id)?.finding };
}

/** What is done for tokens, by whom, as often as `fails` says in vain; each takes so many ms. */
function promotions(at: ReturnType<typeof store>, took: () => number, fails: () => boolean = () => false) {
  const runs: string[] = [];
  /** Runs without the lock, or at the same time as another. */
  const wrong: string[] = [];
  const going = new Set<string>();
  const by =
    (who: string): Promote =>
    async (token, signal) => {
      runs.push(`${who} ${token}`);
      if (at.holder() !== who || going.size > 0) wrong.push(`${who} ${token}`);
      going.add(who);
      await pause(took(), signal);
      going.delete(who);
      if (fails()) throw new Error("the store refuses");
    };
  return { runs, wrong, by };
}

beforeEach(() => reset(1));

describe("an election with a promotion", () => {
  it("has its master once that is done, renews the lock meanwhile, and does it once", async () => {
    const at = store();
    const { runs, by } = promotions(at, () => 40_000);
    const [a, b] = [candidate(at, "a", false, by("a")), candidate(at, "b", false, by("b"))];
    await advance(39_000);
    expect(runs).toHaveLength(1);
    expect([a.role()?.role, b.role()?.role]).toEqual(["slave", "slave"]);
    await advance(2_000);
    expect([a.role()?.role, b.role()?.role].sort()).toEqual(["master", "slave"]);
    await advance(100_000);
    expect(runs).toHaveLength(1);
  });

  it("gives the lock up where it fails, tells why, and leaves the turn to others", async () => {
    const at = store();
    let broken = "a";
    const { runs, by } = promotions(
      at,
      () => 1_000,
      () => at.holder() === broken,
    );
    const a = candidate(at, "a", false, by("a"));
    await advance(500);
    const b = candidate(at, "b", false, by("b"));
    await advance(1_000);
    expect(a.watch.standing("a")).toMatchObject({ finding: undefined, problem: "the store refuses" });
    await advance(2_000);
    expect(b.role()).toEqual({ role: "master", epoch: "2" });
    await advance(5_000);
    expect(a.role()).toEqual({ role: "slave" });
    broken = "";
    b.leave();
    await advance(5_000);
    expect(a.role()).toEqual({ role: "master", epoch: "3" });
    expect(runs).toEqual(["a 1", "b 2", "a 3"]);
  });

  it("tries again, with the next token, where nobody else is there", async () => {
    const at = store();
    let failures = 3;
    const { runs, by } = promotions(
      at,
      () => 100,
      () => failures-- > 0,
    );
    const a = candidate(at, "a", false, by("a"));
    await advance(60_000);
    expect(runs).toEqual(["a 1", "a 2", "a 3", "a 4"]);
    expect(a.role()).toEqual({ role: "master", epoch: "4" });
  });

  it("does nothing over a restart that keeps the lock", async () => {
    const at = store();
    at.take("a");
    const { runs, by } = promotions(at, () => 100);
    const a = candidate(at, "a", false, by("a"));
    a.watch.recall("a", { role: "master", epoch: "1" });
    await advance(40_000);
    expect(a.role()).toEqual({ role: "master", epoch: "2" });
    expect(runs).toEqual([]);
  });

  it("ends it where the lock is lost, and does it again for the next one", async () => {
    const at = store();
    const { runs, by } = promotions(at, () => 30_000);
    const a = candidate(at, "a", false, by("a"));
    await advance(1_000);
    at.away.add("a");
    await advance(20_000);
    const b = candidate(at, "b", false, by("b"));
    await advance(1_000);
    expect(runs).toEqual(["a 1", "b 2"]);
    at.away.delete("a");
    await advance(35_000);
    expect([a.role()?.role, b.role()?.role]).toEqual(["slave", "master"]);
  });
});

describe("an election", () => {
  it("makes one master, and another one as soon as it gives up", async () => {
    const at = store();
    const [a, b] = [candidate(at, "a"), candidate(at, "b")];
    await advance(1_000);
    const roles = [a, b].map((one) => one.role()?.role).sort();
    expect(roles).toEqual(["master", "slave"]);
    const [winner, other] = a.role()?.role === "master" ? [a, b] : [b, a];
    const token = Number(winner.role()?.epoch);
    winner.leave();
    await advance(1_000);
    expect(other.role()).toEqual({ role: "master", epoch: String(token + 1) });
  });

  it("ends the term of a master that is cut off before another one begins", async () => {
    const at = store();
    const a = candidate(at, "a");
    await advance(1_000);
    const b = candidate(at, "b");
    await advance(1_000);
    at.away.add("a");
    await advance(12_000);
    expect(b.role()).toEqual({ role: "slave" });
    await advance(12_000);
    expect(a.role()).toBeUndefined();
    expect(a.watch.standing("a")?.problem).toBe("no answer in time");
    expect(b.role()?.role).toBe("master");
    at.away.delete("a");
    await advance(5_000);
    expect(a.role()).toEqual({ role: "slave" });
  });

  it("keeps the role over a restart of the process, with the next token, whoever else wants it", async () => {
    const at = store();
    at.take("a");
    const others = ["b", "c", "d"].map((name) => candidate(at, name));
    await advance(ttl * 1000 - 2_000);
    const a = candidate(at, "a");
    a.watch.recall("a", { role: "master", epoch: "1" });
    expect(a.role()).toEqual({ role: "master", epoch: "1" });
    await advance(1_000);
    expect(a.role()).toEqual({ role: "master", epoch: "2" });
    await advance(60_000);
    expect(a.role()).toEqual({ role: "master", epoch: "2" });
    expect(others.map((one) => one.role()?.role)).toEqual(["slave", "slave", "slave"]);
  });

  it("is a slave at once where another process of its name has taken over, and takes nothing back", async () => {
    const at = store();
    const a = candidate(at, "a");
    await advance(1_000);
    const next = candidate(at, "a");
    await advance(1_000);
    expect([a.role(), next.role()]).toEqual([{ role: "slave" }, { role: "master", epoch: "2" }]);
    await advance(60_000);
    expect([a.role(), next.role()]).toEqual([{ role: "slave" }, { role: "master", epoch: "2" }]);
  });

  it("takes nothing over from before that somebody else holds by now", async () => {
    const at = store();
    at.take("b");
    const a = candidate(at, "a");
    a.watch.recall("a", { role: "master", epoch: "0" });
    await advance(1_000);
    expect(a.role()).toEqual({ role: "slave" });
  });

  it("leaves the lock to run out where the process is replaced", async () => {
    const at = store();
    const a = candidate(at, "a", true);
    await advance(1_000);
    a.leave();
    await advance(1_000);
    expect(at.holder()).toBe("a");
  });

  it("never has two masters at once, whoever is cut off or comes and goes, and always one in the end", async () => {
    const step = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      what: fc.constantFrom("cut", "heal", "leave", "enter"),
      wait: fc.integer({ min: 0, max: 20_000 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.integer(),
        fc.boolean(),
        async (steps, seed, promotes) => {
          reset(seed);
          const at = store();
          const names = ["a", "b", "c"];
          let isCalm = false;
          const { by, wrong } = promotions(
            at,
            () => chance() * 8_000,
            () => !isCalm && chance() < 0.2,
          );
          const all = names.map((name) => candidate(at, name, false, promotes ? by(name) : undefined));
          const masters = () => all.filter((one) => one.role()?.role === "master");
          const pass = async (ms: number, step = 50) => {
            for (let left = ms; left > 0; left -= step) {
              await advance(Math.min(step, left));
              expect(masters().length).toBeLessThanOrEqual(1);
            }
          };
          for (const { who, what, wait } of steps) {
            const name = names[who] ?? "";
            if (what === "cut") at.away.add(name);
            if (what === "heal") at.away.delete(name);
            if (what === "leave") all[who]?.leave();
            if (what === "enter") all[who]?.enter();
            await pass(wait);
          }
          at.away.clear();
          isCalm = true;
          for (const one of all) one.enter();
          await pass(promotes ? 80_000 : 40_000, 250);
          expect(masters()).toHaveLength(1);
          expect(wrong).toEqual([]);
          const tokens = new Set(masters().map((one) => one.role()?.epoch));
          expect([...tokens].every((token) => Number(token) > 0)).toBe(true);
          for (const one of all) one.watch.close();
          await advance(5_000);
        },
      ),
      { numRuns: 30 },
    );
  });
});
