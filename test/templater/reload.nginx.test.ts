import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { childrenOf } from "../../src/templater/reload/processes.ts";
import type { NginxReload } from "../../src/templater/target.ts";
import { get } from "../servers/http.ts";
import { startNginx } from "../servers/nginx.ts";
import { freePort } from "../servers/ports.ts";
import { waitFor } from "../servers/wait.ts";
import { createWorkspace } from "./workspace.ts";

const soon = { within: 20_000 };

/** nginx that answers by itself, with an error log that its configuration names, or none. */
async function createPlace({ log = true } = {}) {
  const space = await createWorkspace("nginx.conf");
  const port = await freePort();
  const dir = join(space.folder, "..");
  const errorLog = join(dir, "error.log");
  const config = (answer: string, more = "") => `worker_processes 2;
${log ? `error_log ${errorLog} notice;` : ""}
events {}
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  server { listen 127.0.0.1:${port}; location / { return 200 ${answer}; } ${more} }
}
`;
  writeFileSync(space.destination, config("v1"));
  const nginx = await startNginx({ config: space.destination });
  onTestFinished(nginx.stop);
  const serves = (answer: string) =>
    waitFor(answer, async () => (await get(`http://127.0.0.1:${port}/`)) === answer, soon);
  await serves("v1");
  const reload: NginxReload = { kind: "nginx", pidfile: nginx.pidFile, maxOld: 4 };
  return {
    space,
    nginx,
    port,
    config,
    errorLog,
    serves,
    reload,
    install: (text: string, changes: Partial<NginxReload> = {}, commandTimeout = 20_000) =>
      space.install(text, { reload: { ...reload, ...changes }, commandTimeout }),
    workers: async () => (await childrenOf(nginx.pid())).map(({ title }) => title),
  };
}

/** A client whose request is under way and keeps its worker. */
async function hold(port: number): Promise<Socket> {
  const client = connect(port, "127.0.0.1");
  onTestFinished(() => void client.destroy());
  await new Promise((resolve) => client.once("connect", resolve));
  client.on("error", () => {});
  client.write("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  return client;
}

describe("reload: nginx", () => {
  it("is accepted once new workers are there", async () => {
    const place = await createPlace();
    for (const answer of ["v2", "v3", "v4"]) {
      const before = (await childrenOf(place.nginx.pid())).map(({ pid }) => pid);
      expect(await place.install(place.config(answer))).toMatchObject({ verdict: "applied", by: "reload" });
      const after = await childrenOf(place.nginx.pid());
      expect(after.some(({ pid }) => !before.includes(pid))).toBe(true);
      await place.serves(answer);
    }
  });

  it("T7: puts the last good file back when nginx refuses the new one, with nginx's words", async () => {
    const place = await createPlace();
    await place.install(place.config("v2"));
    await expect(place.install(place.config("v3", "nonsense;"))).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "before",
      restored: true,
      message: expect.stringMatching(/nginx refused it[\s\S]*unknown directive "nonsense"/),
    });
    expect(place.space.live()).toBe(place.config("v2"));
    expect((await place.install(place.config("v2"))).verdict).toBe("unchanged");
    await place.serves("v2");
  });

  it("hears of a port that is taken, which neither nginx -t nor nginx -s reload tells", async () => {
    const place = await createPlace();
    await place.install(place.config("v2"));
    const other = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
    onTestFinished(() => void other.close());
    const text = place.config("v3").replace("listen ", `listen 127.0.0.1:${port}; listen `);
    await expect(place.install(text)).rejects.toThrow(/Address already in use[\s\S]*could not bind/);
    expect(place.space.live()).toBe(place.config("v2"));
    await place.serves("v2");
  });

  it("signals nobody else whom a stale pidfile names", async () => {
    const place = await createPlace();
    const pidfile = join(place.space.folder, "..", "stale.pid");
    const other = spawn("sleep", ["1000"]);
    const ended = once(other, "exit");
    writeFileSync(pidfile, `${other.pid}`);
    await expect(place.install(place.config("v2"), { pidfile })).rejects.toMatchObject({
      left: "none",
      message: expect.stringContaining("which is no master of nginx but `sleep 1000`"),
    });
    // A SIGHUP would have ended it before.
    other.kill("SIGKILL");
    expect(await ended).toEqual([null, "SIGKILL"]);
  });

  it("is verified also where the error log is a pipe, which cannot be read without taking from it", async () => {
    const place = await createPlace();
    const dir = join(place.space.folder, "..");
    const pipe = join(dir, "pipe");
    execFileSync("mkfifo", [pipe]);
    // As in nginx's image, where the log is a link to the standard error of whoever opens it.
    const link = join(dir, "link.log");
    symlinkSync("/proc/self/fd/2", link);
    for (const [answer, errorLog] of [
      ["v2", pipe],
      ["v3", link],
      ["v4", dir],
      ["v5", join(dir, "none.log")],
    ] as const) {
      expect(await place.install(place.config(answer), { errorLog })).toMatchObject({ by: "reload" });
      await place.serves(answer);
    }
  });

  it("is not confused by what another nginx writes into the same log", async () => {
    const place = await createPlace();
    const others = setInterval(() => {
      appendFileSync(place.errorLog, '2026/01/01 00:00:00 [emerg] 1#1: unknown directive "x" in /x:1\n');
    }, 1);
    onTestFinished(() => clearInterval(others));
    for (const answer of ["v2", "v3", "v4"]) {
      expect(await place.install(place.config(answer))).toMatchObject({ verdict: "applied", by: "reload" });
    }
  });

  it("has a deadline where no error log can be found", async () => {
    const place = await createPlace({ log: false });
    await place.install(place.config("v2"));
    // It may yet be about to take it.
    await expect(place.install(place.config("v3", "nonsense;"), {}, 500)).rejects.toMatchObject({
      left: "open",
      message: expect.stringContaining("started no new workers within 0.5 s; its error log says why"),
    });
    // It may be told of.
    const errorLog = place.nginx.logFile;
    await expect(place.install(place.config("v3", "nonsense;"), { errorLog })).rejects.toThrow(
      'unknown directive "nonsense"',
    );
    expect(readFileSync(place.space.destination, "utf8")).toBe(place.config("v2"));
  });

  it("owes the reload while too many old generations are shutting down", async () => {
    const place = await createPlace();
    for (const answer of ["v2", "v3"]) {
      const client = await hold(place.port);
      await waitFor("the request", () => client.bytesWritten > 0, soon);
      expect((await place.install(place.config(answer), { maxOld: 1 })).verdict).toBe("applied");
      const old = async () => (await place.workers()).filter((title) => title.includes("shutting down"));
      await waitFor("an old worker", async () => (await old()).length > 0, soon);
    }
    const text = place.config("v4");
    const reload = { maxOld: 0 };
    expect(await place.install(text, reload)).toMatchObject({
      verdict: "owed",
      owed: { owed: "held", reason: expect.stringContaining("old workers of nginx are still shutting down") },
    });
    expect(place.space.live()).toBe(text);
    await place.serves("v3");
    // The latest wins, once there is room.
    const last = place.config("v5");
    expect((await place.install(last, reload)).verdict).toBe("owed");
    expect((await place.install(last, { maxOld: 4 })).verdict).toBe("reloaded");
    await place.serves("v5");
  });

  it("waits until it is cleared", async () => {
    const place = await createPlace();
    const clearance = async () => ({ owed: "held", reason: "not yet" }) as const;
    const text = place.config("v2");
    const waiting = await place.space.install(text, { reload: place.reload }, { clearance });
    expect(waiting).toMatchObject({ verdict: "owed", owed: { reason: "not yet" } });
    expect(place.space.live()).toBe(text);
    await place.serves("v1");
    expect((await place.install(text)).verdict).toBe("reloaded");
    await place.serves("v2");
  });

  it("fails while nginx does not run, and the file is there when it comes", async () => {
    const place = await createPlace();
    await place.nginx.stop();
    await expect(place.install(place.config("v2"))).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "none",
    });
    expect(place.space.live()).toBe(place.config("v2"));
    await place.nginx.start();
    expect((await place.install(place.config("v2"))).verdict).toBe("reloaded");
    await place.serves("v2");
  });
});
