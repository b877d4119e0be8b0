// What may happen to a lock between the steps of a call; the rest is in the contract.
import { expect, inject, it, onTestFinished } from "vitest";
import { connect } from "../../src/backends/zookeeper/connection.ts";
import type { ZookeeperFollow } from "../../src/backends/zookeeper/follow.ts";
import { createZookeeperLock } from "../../src/backends/zookeeper/lock.ts";
import type { Connector } from "../../src/backends/zookeeper/session.ts";

const { port } = inject("zookeeper");
const signal = new AbortController().signal;
const root = `/locks-${process.pid}`;
const at = { host: "127.0.0.1", port, timeout: 4_000, limit: 5_000, keepAlive: true, signal };
const unwatched = {} as ZookeeperFollow;

/** `meanwhile` happens between what the lock has read and each of its transactions. */
function lockOf(name: string, contender: string, meanwhile: () => Promise<void> = async () => {}) {
  const reach: Connector = async (want) => {
    const on = await connect({ ...at, ...want });
    return {
      ...on,
      async commit(steps) {
        await meanwhile();
        return on.commit(steps);
      },
    };
  };
  const lock = createZookeeperLock("zookeeper://test", reach, unwatched, root, { name, contender });
  onTestFinished(() => lock.release(signal));
  return lock;
}

it("leaves a lock to whoever got it after the earlier process of its contender was gone", async () => {
  const [old, other] = [lockOf("db", "one"), lockOf("db", "two")];
  expect((await old.renew(signal)).held).toBe(true);
  const tenures: unknown[] = [];
  const next = lockOf("db", "one", async () => {
    if (tenures.length > 0) return;
    await old.release(signal);
    tenures.push(await other.renew(signal));
  });
  expect(await next.renew(signal)).toEqual({ held: false, holder: "two" });
  expect(tenures).toEqual([expect.objectContaining({ held: true })]);
  expect(await other.renew(signal)).toEqual(tenures[0]);
});

it("is taken anew, with a greater token, when somebody has removed its node", async () => {
  const lock = lockOf("removed", "one");
  const first = await lock.renew(signal);
  const by = await connect(at);
  onTestFinished(() => by.end());
  await by.remove(`${root}/locks/removed`);
  const second = await lock.renew(signal);
  expect(second).toMatchObject({ held: true });
  if (first.held && second.held) expect(BigInt(second.token)).toBeGreaterThan(BigInt(first.token));
});
