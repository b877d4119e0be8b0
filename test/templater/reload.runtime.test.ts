import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { sha256 } from "../../src/templater/hash.ts";
import { parseStates } from "../../src/templater/reload/haproxy/answers.ts";
import { askOnce } from "../../src/templater/reload/haproxy/cli.ts";
import { wordsOf } from "../../src/templater/reload/haproxy/servers.ts";
import type { HaproxyReload, Target } from "../../src/templater/target.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { get } from "../servers/http.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { startLoad } from "./load.ts";
import { createWorkspace } from "./workspace.ts";

const soon = { within: 20_000 };
const never = new AbortController().signal;

/** A server that answers with its name, after `ms`. */
async function startOrigin(
  name: string,
  ms = 0,
): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((_, response) => void setTimeout(() => response.end(name), ms));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server };
}

/** HAProxy in front of a pool `web`, reloaded by Portolan; `lines` are the pool's. */
async function createPool(options: { readonly pool?: string; readonly level?: string } = {}) {
  const space = await createWorkspace("haproxy.cfg");
  const dir = tempDir("pool");
  const port = await freePort();
  const [socket, master] = [join(dir, "a.sock"), join(dir, "m.sock")];
  const config = (servers: readonly string[], more = "") =>
    [
      "global",
      `  stats socket ${socket} mode 660 level ${options.level ?? "admin"} expose-fd listeners`,
      "defaults",
      "  mode http",
      "  option redispatch 1",
      "  retry-on conn-failure empty-response",
      "  timeout client 20s",
      "  timeout connect 5s",
      "  timeout server 20s",
      "frontend f",
      `  bind 127.0.0.1:${port}`,
      "  default_backend web",
      "backend web",
      ...(options.pool ?? "  balance roundrobin").split("\n"),
      ...servers.map((server) => `  server ${server}`),
      ...(more === "" ? [] : [more]),
      "",
    ].join("\n");
  writeFileSync(space.destination, config([]));
  const haproxy = await startHaproxy({ config: space.destination, masterSocket: master });
  onTestFinished(haproxy.stop);
  const reload: HaproxyReload = { kind: "haproxy", socket, master };
  const ask = (command: string) => askOnce(socket, command, never);
  return {
    space,
    haproxy,
    socket,
    config,
    ask,
    url: `http://127.0.0.1:${port}/`,
    install: (servers: readonly string[], changes: Partial<Target> = {}) =>
      space.install(config(servers), { reload, ...changes }),
    reload,
    worker: async () => Number(/^Pid: (?<pid>\d+)$/m.exec(await ask("show info"))?.groups?.pid),
    states: async () => parseStates(await ask("show servers state web")) ?? new Map(),
  };
}

const runtime = { verdict: "applied", by: "runtime" };

describe("HAProxy at runtime", () => {
  it("adds, changes, drains and removes servers in the same worker, and the file says the same", async () => {
    const pool = await createPool();
    const [a, b] = [await startOrigin("a"), await startOrigin("b")];
    expect(await pool.install([`a 127.0.0.1:${a.port} check`])).toMatchObject({ by: "reload" });
    const worker = await pool.worker();

    const both = [`a 127.0.0.1:${a.port} check`, `b 127.0.0.1:${b.port} check inter 1s weight 3`];
    expect(await pool.install(both)).toMatchObject(runtime);
    await waitFor("b", async () => (await get(pool.url)) === "b", soon);
    expect((await pool.states()).get("web/b")).toMatchObject({ port: b.port, weight: 3, admin: 0 });
    expect(pool.space.live()).toBe(pool.config(both));

    const c = await startOrigin("c");
    const moved = [`a 127.0.0.1:${c.port} check`, `b 127.0.0.1:${b.port} check inter 1s weight 7`];
    expect(await pool.install(moved)).toMatchObject(runtime);
    expect((await pool.states()).get("web/a")).toMatchObject({ port: c.port });
    expect((await pool.states()).get("web/b")).toMatchObject({ weight: 7 });

    expect(await pool.install(moved.slice(0, 1))).toMatchObject(runtime);
    for (let i = 0; i < 10; i++) expect(await get(pool.url)).toBe("c");
    await waitFor("b to be away", async () => !(await pool.states()).has("web/b"), soon);
    expect(await pool.worker()).toBe(worker);
    expect((await pool.install(moved.slice(0, 1))).verdict).toBe("unchanged");
    // What HAProxy reads when it starts anew is what it has now.
    await pool.haproxy.restart();
    expect([...(await pool.states()).keys()]).toEqual(["web/a"]);
  });

  it("drains: a request in flight ends well, and the name may come back meanwhile", async () => {
    const pool = await createPool();
    const slow = await startOrigin("slow", 1_500);
    const fast = await startOrigin("fast");
    await pool.install([`a 127.0.0.1:${slow.port}`]);
    const worker = await pool.worker();
    const answer = get(pool.url);
    await waitFor(
      "the request",
      async () => /,1,/.test((await pool.ask("show stat web 4 -1")).split("\n")[1]?.slice(0, 20) ?? ""),
      soon,
    );
    expect(await pool.install([`b 127.0.0.1:${fast.port}`])).toMatchObject(runtime);
    expect(await get(pool.url)).toBe("fast");
    expect((await pool.states()).get("web/a")).toMatchObject({ admin: 8 });
    // Docker gives a restarted container the same name and another port.
    const back = await startOrigin("back");
    expect(await pool.install([`a 127.0.0.1:${back.port}`])).toMatchObject(runtime);
    expect(await get(pool.url)).toBe("back");
    expect(await answer).toBe("slow");
    await waitFor("b to be away", async () => !(await pool.states()).has("web/b"), soon);
    expect([...(await pool.states())]).toMatchObject([["web/a", { port: back.port, admin: 0 }]]);
    expect(await pool.worker()).toBe(worker);
  });

  it("needs nothing but the file for what only looks different", async () => {
    const pool = await createPool();
    await pool.install([]);
    const text = `# another comment\n${pool.config([])}`;
    expect(await pool.space.install(text, { reload: pool.reload })).toMatchObject(runtime);
    expect(pool.space.live()).toBe(text);
  });

  it("fills and frees slots where servers cannot be added", async () => {
    const pool = await createPool({ pool: "  balance roundrobin\n  cookie SRV insert indirect" });
    const a = await startOrigin("a");
    const free = (slot: string) => `${slot} 127.0.0.1:1 cookie ${slot} disabled`;
    await pool.install([free("s1"), free("s2")]);
    const worker = await pool.worker();
    expect(await pool.install([`s1 127.0.0.1:${a.port} cookie s1`, free("s2")])).toMatchObject(runtime);
    expect(await get(pool.url)).toBe("a");
    expect(await pool.install([free("s1"), free("s2")])).toMatchObject(runtime);
    expect(await pool.worker()).toBe(worker);
    // A third slot has a cookie, with which 2.6 adds no server.
    const version = Number(/^Version: (\d+)\./m.exec(await pool.ask("show info"))?.[1]);
    const more = await pool.install([free("s1"), free("s2"), free("s3")]);
    expect(more).toMatchObject(
      version < 3 ? { by: "reload", note: expect.stringContaining("3.0") } : runtime,
    );
  });

  const notYet = { clearance: async () => ({ owed: "held", reason: "not yet" }) as const };

  it("waits with a reload until it is cleared, and with nothing that it does at runtime", async () => {
    const pool = await createPool();
    const a = await startOrigin("a");
    await pool.install([]);
    const worker = await pool.worker();
    const { space, reload } = pool;
    const server = `a 127.0.0.1:${a.port}`;
    expect(await space.install(pool.config([server]), { reload }, notYet)).toMatchObject(runtime);
    const text = pool.config([server], "  timeout queue 5s");
    expect(await space.install(text, { reload }, notYet)).toMatchObject({
      verdict: "owed",
      owed: { owed: "held", reason: "not yet" },
    });
    expect(space.live()).toBe(text);
    expect(await pool.worker()).toBe(worker);
    expect(await space.install(text, { reload })).toMatchObject({ verdict: "reloaded", by: "reload" });
  });

  it("knows no more what HAProxy has where a change was begun before the reload that waits", async () => {
    const pool = await createPool({ pool: "  balance static-rr" });
    const a = await startOrigin("a");
    await pool.install([]);
    const { space, reload } = pool;
    const waiting = await space.install(pool.config([`a 127.0.0.1:${a.port}`]), { reload }, notYet);
    expect(waiting.verdict).toBe("owed");
    await expect(space.install(pool.config([], "  no such thing"), { reload })).rejects.toMatchObject({
      left: "open",
    });
  });

  it.each([
    ["an algorithm that is static", { pool: "  balance static-rr" }, "must use a dynamic load balancing"],
    ["a socket without the right", { level: "operator" }, "Permission denied"],
  ])("falls back to a reload for %s", async (_what, options, note) => {
    const pool = await createPool(options);
    const a = await startOrigin("a");
    await pool.install([]);
    const done = await pool.install([`a 127.0.0.1:${a.port}`]);
    expect(done).toMatchObject({ verdict: "applied", by: "reload", note: expect.stringContaining(note) });
    expect(await get(pool.url)).toBe("a");
  });

  it("falls back to a reload when HAProxy does not have what the file said", async () => {
    const pool = await createPool();
    const [a, b] = [await startOrigin("a"), await startOrigin("b")];
    await pool.install([`a 127.0.0.1:${a.port}`]);
    await pool.ask(`set server web/a state maint`);
    await pool.ask(`del server web/a`);
    const done = await pool.install([`a 127.0.0.1:${b.port}`]);
    expect(done).toMatchObject({ by: "reload", note: "it has no server web/a" });
    expect(await get(pool.url)).toBe("b");
  });

  it("T7: a crash between the swap and the runtime API ends in a reload", async () => {
    const pool = await createPool();
    const [a, b] = [await startOrigin("a"), await startOrigin("b")];
    await pool.install([`a 127.0.0.1:${a.port}`]);
    // As a process leaves it that was killed after it had swapped, before or after it had spoken to HAProxy.
    writeFileSync(pool.space.destination, pool.config([`b 127.0.0.1:${b.port}`]));
    await pool.ask(`add server web/b 127.0.0.1:${b.port}`);
    const records = await pool.space.reopen();
    const text = pool.config([`b 127.0.0.1:${b.port}`]);
    const done = await pool.space.install(text, { reload: pool.reload }, { records });
    expect(done).toMatchObject({ verdict: "reloaded", by: "reload" });
    expect(await get(pool.url)).toBe("b");
  });

  it("T7: is given back what it had when the reload is refused that should have mended half a change", async () => {
    const pool = await createPool();
    const a = await startOrigin("a");
    await pool.install([]);
    const refused = pool.install([`a 127.0.0.1:${a.port}`, `b 127.0.0.1:${a.port} nonsense`]);
    // The first server was added before the second one could not be.
    await expect(refused).rejects.toMatchObject({ code: "RELOAD_FAILED", left: "open", restored: true });
    expect(pool.space.live()).toBe(pool.config([]));
    expect(await pool.install([])).toMatchObject({ verdict: "reloaded", by: "reload" });
    expect([...(await pool.states()).keys()]).toEqual([]);
  });

  it("drains to its end what a templater that was restarted has left draining", async () => {
    const pool = await createPool();
    const [a, b] = [await startOrigin("a", 1_500), await startOrigin("b")];
    const line = (name: string, port: number) => `${name} 127.0.0.1:${port}`;
    // As a process leaves it that ended right after it had taken out a, which has a request, and c.
    writeFileSync(
      pool.space.destination,
      pool.config([line("a", a.port), line("b", b.port), line("c", b.port)]),
    );
    await pool.haproxy.restart();
    const worker = await pool.worker();
    const answers = Promise.all([get(pool.url), get(pool.url), get(pool.url)]);
    const busy = async () => /^web,a,\d*,\d*,1,/m.test(await pool.ask("show stat web 4 -1"));
    await waitFor("the request", busy, soon);
    for (const name of ["a", "c"]) await pool.ask(`set server web/${name} state drain`);
    const text = pool.config([line("b", b.port)]);
    writeFileSync(pool.space.destination, text);
    await pool.space.records.accepted.set(pool.space.destination, sha256(text));
    expect((await pool.install([line("b", b.port)])).verdict).toBe("unchanged");
    const left = async () => [...(await pool.states()).keys()].join();
    await waitFor("a and c to be away", async () => (await left()) === "web/b", soon);
    expect((await answers).sort()).toEqual(["a", "b", "b"]);
    expect(await pool.worker()).toBe(worker);
  });

  it("has a configuration read as HAProxy itself reads it", async () => {
    const pool = await createPool();
    for (const word of ['a\\tb\\x41"\\$c d" \\# \\y', "'\\x41'", '"\\x41\\y\\q"', "a\\ b\\'c"]) {
      const line = `  description ${word}`;
      await pool.space.install(pool.config([]).replace("defaults", `${line}\ndefaults`), {
        reload: pool.reload,
      });
      const said = /^Description: (?<text>.*)$/im.exec(await pool.ask("show info"))?.groups?.text;
      expect(wordsOf(line)?.slice(1).join(" ").trim()).toBe(said);
    }
  });

  it("T1: checks the file before it says a word to HAProxy", async () => {
    const pool = await createPool();
    await pool.install([]);
    const refused = pool.install(["a 127.0.0.1:1"], { check: { argv: ["false"] } });
    await expect(refused).rejects.toMatchObject({ code: "CHECK_FAILED" });
    expect([...(await pool.states()).keys()]).toEqual([]);
  });

  it("loses no request and reloads never over many changes under load", async () => {
    const pool = await createPool();
    const origins = await Promise.all(["a", "b", "c", "d", "e"].map((name) => startOrigin(name, 2)));
    const line = (index: number, weight: number) =>
      `s${index} 127.0.0.1:${origins[index]?.port} check inter 1s weight ${weight}`;
    await pool.install([line(0, 1), line(1, 1)]);
    const worker = await pool.worker();
    const load = startLoad(pool.url, 4);
    const changes = Number(process.env.PORTOLAN_TEST_CHANGES ?? 16);
    for (let i = 0; i < changes; i++) {
      // One always stays; the others come, go and change their weights.
      const others = [1, 2, 3, 4].filter((index) => (i >> (index - 1)) & 1);
      const done = await pool.install([
        line(0, 1 + (i % 5)),
        ...others.map((index) => line(index, 1 + (i % 3))),
      ]);
      expect(done.note).toBeUndefined();
      expect(done).toMatchObject(runtime);
    }
    const { answered, failed } = await load.stop();
    expect(failed).toEqual([]);
    console.log(`${changes} changes, ${answered} answers, ${failed.length} requests lost`);
    expect(answered).toBeGreaterThan(changes);
    expect(await pool.worker()).toBe(worker);
  }, 300_000);
});
