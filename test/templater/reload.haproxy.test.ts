import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { askOnce } from "../../src/templater/reload/haproxy/cli.ts";
import type { HaproxyReload, Target } from "../../src/templater/target.ts";
import { type Haproxy, startHaproxy } from "../servers/haproxy.ts";
import { get } from "../servers/http.ts";
import { freePort } from "../servers/ports.ts";
import { waitFor } from "../servers/wait.ts";
import { createWorkspace, type Workspace } from "./workspace.ts";

const soon = { within: 20_000 };

interface Place {
  readonly space: Workspace;
  readonly haproxy: Haproxy;
  readonly socket: string;
  readonly master: string;
  readonly port: number;
  config(answer: string, servers?: readonly string[]): string;
  /** The pid of the worker that serves. */
  worker(): Promise<number>;
  serves(answer: string): Promise<unknown>;
  install(text: string, reload?: Partial<HaproxyReload>): ReturnType<Workspace["install"]>;
}

/** HAProxy with a frontend that answers by itself, and a pool. */
async function createPlace(): Promise<Place> {
  const space = await createWorkspace("haproxy.cfg");
  const dir = join(space.folder, "..");
  const port = await freePort();
  const [socket, master] = [join(dir, "a.sock"), join(dir, "m.sock")];
  const config = (answer: string, servers: readonly string[] = []) =>
    [
      "global",
      `  stats socket ${socket} mode 660 level admin expose-fd listeners`,
      "defaults",
      "  mode http",
      "  timeout client 5s",
      "  timeout connect 5s",
      "  timeout server 5s",
      "frontend web",
      `  bind 127.0.0.1:${port}`,
      `  http-request return status 200 content-type text/plain string ${answer} if { path / }`,
      "  default_backend pool",
      "backend pool",
      "  balance roundrobin",
      ...servers.map((server) => `  server ${server}`),
      "",
    ].join("\n");
  writeFileSync(space.destination, config("v1"));
  const haproxy = await startHaproxy({ config: space.destination, masterSocket: master });
  onTestFinished(haproxy.stop);
  const never = new AbortController().signal;
  const place: Place = {
    space,
    haproxy,
    socket,
    master,
    port,
    config,
    worker: async () =>
      Number(/^Pid: (?<pid>\d+)$/m.exec(await askOnce(socket, "show info", never))?.groups?.pid),
    serves: (answer) =>
      waitFor(`${answer}`, async () => (await get(`http://127.0.0.1:${port}/`)) === answer, soon),
    install: (text, reload = { master }) =>
      space.install(text, { reload: { kind: "haproxy", socket, ...reload } } as Partial<Target>),
  };
  await place.serves("v1");
  return place;
}

describe.each(["master", "pidfile"] as const)("reload: haproxy by %s", (way) => {
  const how = ({ master, haproxy }: Place) => (way === "master" ? { master } : { pidfile: haproxy.pidFile });

  it("is accepted once a new worker serves", async () => {
    const place = await createPlace();
    const before = await place.worker();
    const done = await place.install(place.config("v2"), how(place));
    expect(done).toMatchObject({ verdict: "applied", by: "reload" });
    expect(await place.worker()).not.toBe(before);
    await place.serves("v2");
    // HAProxy 2.6 would lose a signal that comes at once.
    for (const answer of ["v3", "v4", "v5"]) await place.install(place.config(answer), how(place));
    await place.serves("v5");
  });

  it("T7: puts the last good file back when HAProxy refuses the new one, and it goes on", async () => {
    const place = await createPlace();
    await place.install(place.config("v2"), how(place));
    const before = await place.worker();
    const bad = place.config("v3").replace("mode http", "mode nonsense");
    const refused = await place.install(bad, how(place)).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: "RELOAD_FAILED",
      left: "before",
      restored: true,
      message: expect.stringMatching(/HAProxy refused it[\s\S]*the last good file is back: .*haproxy\.cfg/),
    });
    expect(place.space.live()).toBe(place.config("v2"));
    expect(await place.worker()).toBe(before);
    // What is back is what was accepted: nothing is owed.
    expect((await place.install(place.config("v2"), how(place))).verdict).toBe("unchanged");
    expect((await place.install(place.config("v3"), how(place))).verdict).toBe("applied");
    await place.serves("v3");
  });

  it("is no failure while HAProxy does not run, and needs no reload once it was started", async () => {
    const place = await createPlace();
    await place.install(place.config("v2"), how(place));
    await place.haproxy.stop();
    const text = place.config("v3");
    expect(await place.install(text, how(place))).toMatchObject({
      verdict: "owed",
      owed: { owed: "away" },
    });
    expect(place.space.live()).toBe(text);
    expect((await place.install(text, how(place))).verdict).toBe("owed");
    // A start that is hardly later than the swap is not told from one before it.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await place.haproxy.start();
    const worker = await place.worker();
    const done = await place.install(text, how(place));
    expect(done).toMatchObject({ verdict: "reloaded", by: "start" });
    expect(await place.worker()).toBe(worker);
    expect((await place.install(text, how(place))).verdict).toBe("unchanged");
    await place.serves("v3");
  });
});

describe("reload: haproxy", () => {
  it("reloads one that was started before the swap", async () => {
    const place = await createPlace();
    await place.install(place.config("v2"));
    await place.haproxy.stop();
    await place.install(place.config("v3"));
    await place.haproxy.start();
    expect(await place.install(place.config("v4"))).toMatchObject({ verdict: "applied", by: "reload" });
    await place.serves("v4");
  });

  it("falls back to the pidfile when nobody answers at the master's socket", async () => {
    const place = await createPlace();
    const reload = { master: `${place.master}.no`, pidfile: place.haproxy.pidFile };
    expect(await place.install(place.config("v2"), reload)).toMatchObject({ by: "reload" });
    await place.serves("v2");
  });

  it("says what is missing when only the runtime API is there", async () => {
    const place = await createPlace();
    await expect(place.install(place.config("v2"), {})).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "none",
      message: expect.stringContaining("it needs a reload, for which neither master nor pidfile is set"),
    });
    expect(place.space.live()).toBe(place.config("v2"));
  });

  it("ends nobody who is no master", async () => {
    const place = await createPlace();
    const pidfile = join(place.space.folder, "..", "worker.pid");
    writeFileSync(pidfile, String(await place.worker()));
    await expect(place.install(place.config("v2"), { pidfile })).rejects.toThrow("is no master");
    await place.serves("v1");
  });

  it("signals nobody else whom a stale pidfile names", async () => {
    const place = await createPlace();
    const pidfile = join(place.space.folder, "..", "stale.pid");
    const other = spawn("sleep", ["1000"]);
    const ended = once(other, "exit");
    writeFileSync(pidfile, `${other.pid}`);
    await expect(place.install(place.config("v2"), { pidfile })).rejects.toMatchObject({
      left: "none",
      message: expect.stringContaining(`names process ${other.pid}, which is no HAProxy but sleep`),
    });
    await place.haproxy.stop();
    expect(await place.install(place.config("v2"), { pidfile })).toMatchObject({
      verdict: "owed",
      owed: { owed: "away" },
    });
    // A SIGUSR2 would have ended it before.
    other.kill("SIGKILL");
    expect(await ended).toEqual([null, "SIGKILL"]);
  });

  it("has a deadline when the master hangs", async () => {
    const place = await createPlace();
    place.haproxy.pause();
    onTestFinished(place.haproxy.resume);
    const target = {
      reload: { kind: "haproxy", socket: place.socket, master: place.master },
      commandTimeout: 500,
    } as const;
    const refused = await place.space.install(place.config("v2"), target).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "RELOAD_FAILED", left: "open" });
    expect(String(refused)).toContain("within 0.5 s");
    place.haproxy.resume();
    // It may have taken the file after all: what is back is owed a reload.
    expect((await place.install(place.config("v1"))).verdict).toBe("reloaded");
    await place.serves("v1");
  });

  it("takes its turns: many targets of one HAProxy lose no reload", async () => {
    const place = await createPlace();
    const extra = join(place.space.folder, "..", "extra");
    const reload = { kind: "haproxy", socket: place.socket, master: place.master } as const;
    const installs = ["a", "b", "c", "d"].map((name) =>
      place.space.install(name, { destination: `${extra}.${name}`, reload }),
    );
    for (const { by } of await Promise.all(installs)) expect(by).toBe("reload");
    const never = new AbortController().signal;
    expect(await askOnce(place.master, "show proc", never)).toMatch(/master\s+4 \[failed: 0\]/);
  });

  it("reloads one that was started this moment, and hears no signal yet", async () => {
    const place = await createPlace();
    const reload = { pidfile: place.haproxy.pidFile };
    for (const answer of ["v2", "v3"]) {
      await place.haproxy.stop();
      await place.haproxy.start();
      expect(await place.install(place.config(answer), reload)).toMatchObject({ by: "reload" });
      await place.serves(answer);
    }
  });

  it("reloads one whose socket is gone", async () => {
    const place = await createPlace();
    rmSync(place.socket);
    // A master that was started this moment does not answer yet, and then counts as one that is away.
    await waitFor("the reload", async () => (await place.install(place.config("v2"))).by === "reload", soon);
  });
});
