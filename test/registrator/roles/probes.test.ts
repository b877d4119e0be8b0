import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { httpProbe } from "../../../src/registrator/roles/http.ts";
import { mysqlProbe } from "../../../src/registrator/roles/mysql.ts";
import { postgresProbe } from "../../../src/registrator/roles/postgres.ts";
import type { Credentials, Probe, ProbeTarget } from "../../../src/registrator/roles/probe.ts";
import { redisProbe } from "../../../src/registrator/roles/redis.ts";
import { type MariaDb, startMariaDb } from "../../servers/mariadb.ts";
import { type Postgres, startPostgres } from "../../servers/postgres.ts";
import { type Redis, startRedis } from "../../servers/redis.ts";
import { waitFor } from "../../servers/wait.ts";

const opened: Probe[] = [];
afterEach(() => {
  for (const probe of opened.splice(0)) probe.close();
});

/** A probe of the server at `port` that is closed after the test. */
function open(make: (target: ProbeTarget) => Probe, port: number, credentials: Credentials = {}): Probe {
  const probe = make({ address: "127.0.0.1", port, timeout: 5_000, credentials: () => credentials });
  opened.push(probe);
  return probe;
}

const ask = (probe: Probe, within = 5_000) => probe.ask(AbortSignal.timeout(within));

describe("redis", () => {
  let master: Redis;
  let replica: Redis;
  let locked: Redis;
  beforeAll(async () => {
    master = await startRedis();
    [replica, locked] = await Promise.all([
      startRedis({ replicaOf: master.port }),
      startRedis({ password: "geheim" }),
    ]);
  });
  afterAll(() => Promise.all([master, replica, locked].map((server) => server?.stop())));

  it("tells master and slave, and a promotion over the same connection", async () => {
    const probes = { master: open(redisProbe, master.port), replica: open(redisProbe, replica.port) };
    expect(await ask(probes.master)).toEqual({ role: "master" });
    expect(await ask(probes.replica)).toEqual({ role: "slave" });
    await replica.command("REPLICAOF", "NO", "ONE");
    expect(await ask(probes.replica)).toEqual({ role: "master" });
    expect(await clients(replica)).toBe(1);
  });

  it("answers at once when its connection was closed, as Sentinel does at a promotion", async () => {
    const probe = open(redisProbe, master.port);
    await ask(probe);
    await master.command("CLIENT", "KILL", "TYPE", "normal");
    expect(await ask(probe)).toEqual({ role: "master" });
  });

  it("needs the password where there is one, and takes a new one at its next connection", async () => {
    const credentials = { password: "falsch" };
    const probe = open(redisProbe, locked.port, credentials);
    await expect(ask(open(redisProbe, locked.port))).rejects.toThrow(/NOAUTH/);
    await expect(ask(probe)).rejects.toThrow(/WRONGPASS/);
    credentials.password = "geheim";
    expect(await ask(probe)).toEqual({ role: "master" });
  });

  it("answers again after the server was away, and has no answer of one that stands still", async () => {
    const probe = open(redisProbe, master.port);
    await ask(probe);
    await master.stop();
    await expect(ask(probe)).rejects.toThrow(/ECONNREFUSED|closed/i);
    await master.start();
    expect(await ask(probe)).toEqual({ role: "master" });
    master.pause();
    try {
      await expect(ask(probe, 200)).rejects.toThrow(/time/i);
      await expect(ask(probe, 200)).rejects.toThrow(/time/i);
    } finally {
      master.resume();
    }
    expect(await ask(probe)).toEqual({ role: "master" });
    await waitFor("the abandoned connections to end", async () => (await clients(master)) === 1, {
      within: 10_000,
    });
  });

  /** Connections besides that of redis-cli itself and of replicas. */
  const clients = async (server: Redis) =>
    (await server.command("CLIENT", "LIST", "TYPE", "normal")).trim().split("\n").length - 1;
});

describe("postgres", () => {
  let primary: Postgres;
  let standby: Postgres;
  let locked: Postgres;
  beforeAll(async () => {
    primary = await startPostgres();
    [standby, locked] = await Promise.all([
      startPostgres({ standbyOf: primary.port }),
      startPostgres({ password: "geheim" }),
    ]);
  }, 120_000);
  afterAll(() => Promise.all([standby, primary, locked].map((server) => server?.stop())));

  it("tells primary and standby, and the timeline after a promotion, over one connection", async () => {
    const probes = { primary: open(postgresProbe, primary.port), standby: open(postgresProbe, standby.port) };
    expect(await ask(probes.primary)).toEqual({ role: "master", epoch: "1" });
    expect(await ask(probes.standby)).toEqual({ role: "slave" });
    await standby.query("SELECT pg_promote()");
    expect(await ask(probes.standby)).toEqual({ role: "master", epoch: "2" });
    const connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portolan'";
    expect((await standby.query(connections)).trim()).toBe("1");
  });

  it("needs the password where there is one", async () => {
    await expect(ask(open(postgresProbe, locked.port))).rejects.toThrow(/password/i);
    await expect(ask(open(postgresProbe, locked.port, { password: "falsch" }))).rejects.toThrow(/password/i);
    const known = { user: "postgres", password: "geheim", database: "template1" };
    expect(await ask(open(postgresProbe, locked.port, known))).toEqual({ role: "master", epoch: "1" });
  });

  it("answers again after the server was away, and has no answer of one that stands still", async () => {
    const probe = open(postgresProbe, locked.port, { password: "geheim" });
    await ask(probe);
    await locked.kill();
    await expect(ask(probe)).rejects.toThrow(/ECONN|CONNECTION|closed/i);
    await locked.start();
    expect(await ask(probe)).toEqual({ role: "master", epoch: "1" });
    const paused = open(postgresProbe, locked.port, { password: "geheim" });
    locked.pause();
    try {
      await expect(ask(paused, 300)).rejects.toThrow(/time/i);
    } finally {
      locked.resume();
    }
    expect(await ask(paused)).toEqual({ role: "master", epoch: "1" });
  });
});

describe("mysql", () => {
  let server: MariaDb;
  beforeAll(async () => {
    server = await startMariaDb();
  }, 120_000);
  afterAll(() => server?.stop());

  it("tells by read_only, over one connection", async () => {
    const { user, password } = server;
    const probe = open(mysqlProbe, server.port, { user, password });
    expect(await ask(probe)).toEqual({ role: "master" });
    await server.query("SET GLOBAL read_only = ON");
    expect(await ask(probe)).toEqual({ role: "slave" });
    await server.query("SET GLOBAL read_only = OFF");
    expect(await ask(probe)).toEqual({ role: "master" });
    const connections = "SELECT count(*) FROM information_schema.processlist WHERE user = 'portolan'";
    expect((await server.query(connections)).trim()).toBe("1");
  });

  it("needs the right password", async () => {
    await expect(
      ask(open(mysqlProbe, server.port, { user: server.user, password: "falsch" })),
    ).rejects.toThrow(/Access denied/);
  });

  it("answers again after the server was away", async () => {
    const { user, password } = server;
    const probe = open(mysqlProbe, server.port, { user, password });
    await ask(probe);
    await server.kill();
    await expect(ask(probe)).rejects.toThrow();
    await server.start();
    expect(await ask(probe)).toEqual({ role: "master" });
  });
});

describe("http", () => {
  let status = 200;
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? ""}`.trim());
    if (status > 0) response.writeHead(status).end("x".repeat(100_000));
  });
  const port = () => (server.address() as AddressInfo).port;
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it.each([
    [200, "master"],
    [204, "master"],
    [404, "slave"],
    [503, "slave"],
  ])("%d is a %s", async (answer, role) => {
    status = answer;
    expect(await ask(open((target) => httpProbe(target, "/primary"), port()))).toEqual({ role });
  });

  it.each([302, 401, 403, 500, 502])("%d says nothing", async (answer) => {
    status = answer;
    await expect(ask(open((target) => httpProbe(target, "/primary"), port()))).rejects.toThrow(
      `GET /primary answers ${answer}`,
    );
  });

  it("says who asks, where that is told", async () => {
    status = 200;
    await ask(open((target) => httpProbe(target, "/p?a=1"), port(), { user: "u", password: "p" }));
    expect(seen.at(-1)).toBe(`GET /p?a=1 Basic ${Buffer.from("u:p").toString("base64")}`);
  });

  it("has no answer of a server that gives none", async () => {
    status = 0;
    await expect(
      ask(
        open((target) => httpProbe(target, "/"), port()),
        200,
      ),
    ).rejects.toThrow();
  });
});
