// One file for each service: `forEach`.
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { PortolanError } from "../../src/errors.ts";
import type { Instance } from "../../src/instance.ts";
import type { Fields, Log } from "../../src/log.ts";
import { createCell } from "../../src/source.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { readJournal } from "../../src/templater/journal.ts";
import type { Target } from "../../src/templater/target.ts";
import { instance } from "../commands/registry-folder.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { endedWithTest } from "./ended.ts";
import { mount } from "./workspace.ts";

const soon = { within: 20_000 };
const text = "{{name}}:{{#each instances}} {{port}}{{/each}}\n";

/** A registry whose content the test sets, and a templater that is started over it. */
async function createPlace(expiry: "none" | "lease" = "none") {
  const dir = tempDir("for-each");
  const folder = join(dir, "conf.d");
  mkdirSync(folder);
  writeFileSync(join(dir, "site.txt.hbs"), text);
  const log = join(dir, "reloads");
  const empty = await openMemory();
  onTestFinished(() => empty.close());
  const cell = createCell<Snapshot>();
  const backend = {
    ...empty,
    capabilities: { ...empty.capabilities, expiry },
    observe: () => ({ ...cell, want: () => {}, refresh: () => {}, close: async () => {} }),
  };
  const set = (...all: readonly Instance[]) => {
    const services = new Map<string, Instance[]>();
    for (const one of all) services.set(one.service, [...(services.get(one.service) ?? []), one]);
    cell.set({ services: new Map([...services].sort()), complete: true, invalid: new Map() });
  };
  const target: Target = {
    source: join(dir, "site.txt.hbs"),
    destination: join(folder, "{{name}}.conf"),
    forEach: {},
    reload: { kind: "command", command: { shell: `printf . >> ${log}` } },
    commandTimeout: 10_000,
    wait: { min: 5, max: 100 },
    minInterval: 0,
  };
  const logged: (Fields & { message: string })[] = [];
  const note = (fields: Fields, message: string) => void logged.push({ ...fields, message });
  const quiet = () => {};
  const logTo: Log = { debug: quiet, info: note, warn: note, error: note };
  const list = () => readdirSync(folder).filter((name) => !name.startsWith("."));
  return {
    ...{ dir, folder, cell, set, target, logged },
    reloads: () => (existsSync(log) ? readFileSync(log, "utf8").length : 0),
    files: () => Object.fromEntries(list().map((name) => [name, readFileSync(join(folder, name), "utf8")])),
    async start(changes: Partial<Target> = {}, state = join(dir, "state")) {
      const opened = await openStateDir(state);
      const targets = [{ ...target, ...changes }];
      const daemon = startTemplater({
        backend,
        targets,
        state: opened,
        env: process.env,
        node: "h",
        log: logTo,
      });
      const stop = endedWithTest(daemon, opened);
      return { daemon, stop };
    },
  };
}
type Place = Awaited<ReturnType<typeof createPlace>>;

const become = (place: Place, files: Readonly<Record<string, string>>) =>
  waitFor(
    `the files ${JSON.stringify(files)}`,
    () =>
      JSON.stringify(Object.entries(place.files()).sort()) === JSON.stringify(Object.entries(files).sort()),
    soon,
  );

const ready = (daemon: { notReady(): readonly string[] }) =>
  waitFor("readiness", () => daemon.notReady().length === 0, soon);

/** The last entry of the journal, once it is about the `nth` change of a file. */
async function verdictOn(place: Place, name: string, nth = 2) {
  const find = async () =>
    (await readJournal(join(place.dir, "state"))).filter(({ files }) =>
      files.some(({ destination }) => destination.endsWith(name)),
    );
  await waitFor("the verdict", async () => (await find()).length >= nth, soon);
  return (await find()).at(-1);
}

describe("a target with a file for each service", () => {
  it("writes one for each, swaps them together and reloads once; a file without a service goes", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start();
    await ready(daemon);
    expect(place.files()).toEqual({ "api.conf": "api: 81\n", "web.conf": "web: 80\n" });
    expect(place.reloads()).toBe(1);
    // One comes, one changes, one goes.
    place.set(instance("db", 5432), instance("web", 8080));
    await become(place, { "db.conf": "db: 5432\n", "web.conf": "web: 8080\n" });
    const last = await verdictOn(place, "web.conf");
    expect(place.reloads()).toBe(2);
    expect(last).toMatchObject({ verdict: "applied", targets: [place.target.destination] });
    expect(last?.files.find(({ destination }) => destination.endsWith("api.conf"))).toMatchObject({
      after: null,
      diff: expect.stringContaining("+++ /dev/null"),
    });
    // The last service goes too.
    place.set();
    await become(place, {});
    await waitFor("the reload", () => place.reloads() === 3, soon);
    expect(daemon.status()).toMatchObject({ targets: [{ destination: place.target.destination }] });
  });

  it("T5: the same world writes and reloads nothing, also after a restart", async () => {
    const place = await createPlace();
    place.set(instance("web", 80));
    const first = await place.start();
    await ready(first.daemon);
    await first.stop();
    const second = await place.start();
    await ready(second.daemon);
    expect(place.reloads()).toBe(1);
  });

  it("takes the services that have the tag", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80, { tags: ["http"] }));
    const { daemon } = await place.start({ forEach: { tag: "http" } });
    await ready(daemon);
    expect(place.files()).toEqual({ "web.conf": "web: 80\n" });
  });

  it("T1: a file whose check fails is not taken, and the text is kept for people", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start({ check: { shell: "! grep -q 666 {{src}}" } });
    await ready(daemon);
    const before = place.files();
    place.set(instance("api", 81), instance("web", 666));
    await waitFor("the refusal", () => daemon.notReady().join().includes("CHECK_FAILED"), soon);
    expect([place.files(), place.reloads()]).toEqual([before, 1]);
    const kept = join(place.dir, "state/rejected");
    const [refused = ""] = readdirSync(kept);
    expect(daemon.notReady().join()).toContain(`what it refused: ${join(kept, refused)}`);
    expect(readFileSync(join(kept, refused), "utf8")).toBe("web: 666\n");
    place.set(instance("db", 1), instance("web", 80));
    await become(place, { "db.conf": "db: 1\n", "web.conf": "web: 80\n" });
    await waitFor("the end of what was refused", () => readdirSync(kept).length === 0, soon);
  });

  it("T9: none of the files is taken when the check refuses what all of them come from", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start({ check: { shell: `! grep -q bad ${place.dir}/site.txt.hbs` } });
    await ready(daemon);
    const before = place.files();
    writeFileSync(join(place.dir, "draft"), `${text}bad\n`);
    renameSync(join(place.dir, "draft"), place.target.source);
    place.set(instance("db", 1), instance("web", 8080));
    daemon.refresh();
    await waitFor("the refusal", () => daemon.notReady().join().includes("CHECK_FAILED"), soon);
    expect([place.files(), place.reloads()]).toEqual([before, 1]);
  });

  it("goes on with the other files when the check of one fails, also of those that come and go", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start({ check: { shell: "! grep -q 666 {{src}}" } });
    await ready(daemon);
    place.set(instance("bad", 666), instance("db", 1), instance("web", 666));
    await become(place, { "db.conf": "db: 1\n", "web.conf": "web: 80\n" });
    await waitFor("the reason", () => daemon.notReady().join().includes("held back: bad, web"), soon);
    expect(place.reloads()).toBe(2);
    place.set(instance("bad", 667), instance("db", 1));
    await become(place, { "bad.conf": "bad: 667\n", "db.conf": "db: 1\n" });
    await ready(daemon);
  });

  it("T7: what went comes back when the proxy refuses, and what came goes", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const refusing = { shell: `! grep -q 666 ${place.folder}/*.conf` };
    const { daemon } = await place.start({ reload: { kind: "command", command: refusing } });
    await ready(daemon);
    const before = place.files();
    place.set(instance("db", 666), instance("web", 80));
    await waitFor("the refusal", () => daemon.notReady().join().includes("RELOAD_FAILED"), soon);
    expect(place.files()).toEqual(before);
  });

  it("removes what an earlier templater has written, also without its state folder", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const first = await place.start();
    await ready(first.daemon);
    await first.stop();
    place.set(instance("web", 80));
    writeFileSync(join(place.folder, "other.conf"), "by hand\n");
    await place.start({}, join(place.dir, "another-state"));
    await become(place, { "other.conf": "by hand\n", "web.conf": "web: 80\n" });
    // Without the list beside the files, the state folder tells.
    for (const name of readdirSync(place.folder).filter((one) => one.startsWith(".portolan")))
      rmSync(join(place.folder, name));
    place.set(instance("db", 1));
    await become(place, { "db.conf": "db: 1\n", "other.conf": "by hand\n" });
  });

  it("T10: leaves alone what somebody else has put there, and says so", async () => {
    const place = await createPlace();
    const outside = join(place.dir, "outside");
    writeFileSync(outside, "secret\n");
    writeFileSync(join(place.folder, "default.conf"), "by hand\n");
    symlinkSync(outside, join(place.folder, "link.conf"));
    writeFileSync(join(place.folder, "same.conf"), "same: 1\n");
    const all = ["default", "link", "same", "web"].map((name) => instance(name, 1));
    place.set(...all, instance("../up", 1));
    const { daemon } = await place.start();
    await waitFor("the file", () => existsSync(join(place.folder, "web.conf")), soon);
    const written = {
      ...{ "default.conf": "by hand\n", "link.conf": "secret\n", "same.conf": "same: 1\n" },
      ...{ "web.conf": "web: 1\n", "%2E.%2Fup.conf": "../up: 1\n" },
    };
    expect(place.files()).toEqual(written);
    await ready(daemon);
    const told = place.logged.filter(({ message }) => message.startsWith("service left out"));
    expect(told.map(({ service }) => service).sort()).toEqual(["default", "link"]);
    expect(daemon.status()).toMatchObject({
      targets: [{ leftOut: [{ service: "default" }, { service: "link" }] }],
    });
    place.set();
    const { "web.conf": _, "%2E.%2Fup.conf": __, "same.conf": ___, ...others } = written;
    await become(place, others);
    expect(readFileSync(outside, "utf8")).toBe("secret\n");
  });

  it("T10: two names that are the same bytes are one file, and the second is left out", async () => {
    const place = await createPlace();
    place.set(instance("\ud800", 1), instance("\ud801", 2));
    const { daemon } = await place.start();
    await ready(daemon);
    expect(Object.keys(place.files())).toEqual(["%EF%BF%BD.conf"]);
    expect(daemon.status()).toMatchObject({ targets: [{ leftOut: [{ service: "\ud801" }] }] });
  });

  it("of another destination takes over the files whose names it fits, and leaves the others", async () => {
    const place = await createPlace();
    place.set(instance("web", 80));
    const to = (name: string) => ({ destination: join(place.folder, name) });
    for (const name of ["a-{{name}}.conf", "b-{{name}}.conf", "{{name}}.conf"]) {
      const { daemon, stop } = await place.start(to(name));
      await ready(daemon);
      if (name.startsWith("b")) expect(Object.keys(place.files())).toEqual(["a-web.conf", "b-web.conf"]);
      await stop();
    }
    expect(Object.keys(place.files())).toEqual(["web.conf"]);
  });

  it("T10: a name that the file cannot hold takes out its service, and no other", async () => {
    const place = await createPlace();
    renameSync(join(place.dir, "site.txt.hbs"), join(place.dir, "nginx.conf.hbs"));
    place.set(instance("we b;", 1), instance("web", 80));
    const { daemon } = await place.start({ source: join(place.dir, "nginx.conf.hbs") });
    await ready(daemon);
    expect(place.files()).toEqual({ "web.conf": "web: 80\n" });
    expect(daemon.status()).toMatchObject({ targets: [{ leftOut: [{ service: "we b;" }] }] });
  });

  it("T3: a backend that is away or came back empty removes nothing", async () => {
    const place = await createPlace("lease");
    place.set(instance("api", 81), instance("web", 80));
    const first = await place.start({ guard: { hold: 60_000 } });
    await ready(first.daemon);
    const before = place.files();
    const error = new PortolanError("BACKEND_UNREACHABLE", "away");
    place.cell.fail({ kind: "unreachable", error });
    await waitFor("the outage", () => first.daemon.notReady().length > 0, soon);
    expect(place.files()).toEqual(before);
    place.set();
    await first.stop();
    const second = await place.start({ guard: { hold: 60_000 } });
    await waitFor("the hold", () => second.daemon.notReady().join().includes("held as it was"), soon);
    expect(place.files()).toEqual(before);
  });

  it("T2: stays as it is on a disk that is full or read-only, and follows once it can be written", async () => {
    const place = await createPlace();
    await mount(["-t", "tmpfs", "-o", "size=256k", "tmpfs"], place.folder);
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start();
    await ready(daemon);
    const before = place.files();
    const refusedFor = (why: string) =>
      waitFor(`the refusal: ${why}`, () => daemon.notReady().join().includes(why), soon);
    const ballast = join(place.folder, ".ballast");
    const fill = () => {
      for (let i = 0; i < 1_000; i++) writeFileSync(ballast, "x".repeat(1024), { flag: "a" });
    };
    expect(fill).toThrow("ENOSPC");
    place.set(instance("db", 1), instance("web", 8080));
    await refusedFor("no space left");
    expect([place.files(), place.reloads()]).toEqual([before, 1]);
    rmSync(ballast);
    const after = { "db.conf": "db: 1\n", "web.conf": "web: 8080\n" };
    await become(place, after);
    execFileSync("mount", ["-o", "remount,ro", place.folder]);
    place.set(instance("web", 80));
    await refusedFor("read-only");
    expect(place.files()).toEqual(after);
    execFileSync("mount", ["-o", "remount,rw", place.folder]);
    await become(place, { "web.conf": "web: 80\n" });
  });

  it("all come back when the folder was gone", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start();
    await ready(daemon);
    const all = place.files();
    rmSync(place.folder, { recursive: true });
    place.set(instance("api", 81), instance("web", 80), instance("x", 1));
    await waitFor("the problem", () => daemon.notReady().join().includes("does not exist"), soon);
    mkdirSync(place.folder);
    await become(place, { ...all, "x.conf": "x: 1\n" });
  });

  it("a change of one service writes no other file", async () => {
    const place = await createPlace();
    place.set(instance("api", 81), instance("web", 80));
    const { daemon } = await place.start();
    await ready(daemon);
    place.set(instance("api", 81), instance("web", 8080));
    await become(place, { "api.conf": "api: 81\n", "web.conf": "web: 8080\n" });
    const last = await verdictOn(place, "web.conf", 2);
    expect(last?.files.map(({ destination }) => destination)).toEqual([join(place.folder, "web.conf")]);
  });
});
