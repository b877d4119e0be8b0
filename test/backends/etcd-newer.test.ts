// etcd 3.5 beside the 3.4 of the other tests.
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEtcdClient } from "../../src/backends/etcd/client.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { get } from "../servers/http.ts";
import { waitFor } from "../servers/wait.ts";
import { signal } from "./backend-stage.ts";
import { contractSuite } from "./contract/suite.ts";
import { etcdWorld } from "./etcd-world.ts";

let server: Etcd;
beforeAll(async () => {
  server = await startEtcd({
    release: "newer",
    args: ["--experimental-watch-progress-notify-interval", "500ms"],
  });
});
afterAll(() => server.stop());

contractSuite({ name: "etcd 3.5:", ttl: 2, start: () => etcdWorld(server, "/newer") });

describe("etcd 3.5:", () => {
  it("is what runs", async () => {
    expect(JSON.parse(await get(`${server.url}/version`))).toMatchObject({
      etcdserver: expect.stringMatching(/^3\.([5-9]|\d\d)\./) as string,
    });
  });

  it("tells a quiet watch how far it has come, so that no compaction catches up with it", async () => {
    const bare = new Etcd3({ hosts: server.url });
    const client = createEtcdClient("etcd:", { hosts: [server.url] });
    const ended = new AbortController();
    const told: { readonly changes: number; readonly revision: bigint }[] = [];
    const { revision } = await client.list("/quiet/", signal);
    const watch = client.watch(
      "/quiet/",
      revision + 1n,
      (changes, at) => told.push({ changes: changes.length, revision: at }),
      ended.signal,
    );
    watch.catch(() => {});
    for (let n = 0; n < 10; n += 1) await bare.put(`/elsewhere/${n}`).value("x");
    const last = BigInt((await bare.getAll().prefix("/elsewhere/").exec()).header.revision);
    await waitFor("progress", () => told.some((one) => one.revision >= last), { within: 20_000 });
    expect(told.filter(({ changes }) => changes > 0)).toEqual([]);
    ended.abort();
    await watch.catch(() => {});
    client.close();
    bare.close();
  });
});
