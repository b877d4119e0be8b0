// What a proxy's own check refuses holds back the services at fault, and no other.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { decodeAcknowledgement, isIn } from "../../src/acknowledgement.ts";
import type { Notes, Snapshot } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import type { Instance } from "../../src/instance.ts";
import type { Fields, Log } from "../../src/log.ts";
import { createCell } from "../../src/source.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { readJournal } from "../../src/templater/journal.ts";
import { mostChecks } from "../../src/templater/quarantine-search.ts";
import type { Target } from "../../src/templater/target.ts";
import { instance } from "../commands/registry-folder.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { endedWithTest } from "./ended.ts";

const soon = { within: 20_000 };

/** Templates that take a setting of the proxy from a label, and what their checks are. */
const proxies = {
  haproxy: {
    template: `defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
listen all
  bind 127.0.0.1:1
{{#each (services)}}
backend {{name}}
{{#each instances}}
  balance {{meta.setting}}
  server s{{port}} 127.0.0.1:{{port}}
{{/each}}
{{/each}}
`,
    good: "leastconn",
    says: /\[ALERT\].* balance only supports/,
    check: async () => `${(await ensureInstalled(["haproxy"])).haproxy.haproxy} -c -f {{src}}`,
  },
  nginx: {
    template: `events {}
http {
{{#each (services)}}
  upstream {{name}} {
{{#each instances}}
    server 127.0.0.1:{{port}} {{meta.setting}};
{{/each}}
  }
{{/each}}
}
`,
    good: "weight=2",
    says: /\[emerg\].* invalid parameter "nosuch"/,
    check: async () =>
      `${(await ensureInstalled(["nginx"])).nginx.nginx} -t -e stderr -g 'pid /dev/null;' -c {{src}}`,
  },
};

/** For tests that need no proxy: a service whose port is above 60000 is refused. */
const plain = {
  template: "{{#each (services)}}{{name}}:{{#each instances}} {{port}}{{/each}}\n{{/each}}",
  check: "! grep -E ' 6[0-9]{4}' {{src}}",
};

/** A registry whose content the test sets, and a templater over it that counts its checks. */
async function createPlace(template: string, check: string) {
  const dir = tempDir("quarantine");
  const source = join(dir, "nginx.conf.hbs");
  writeFileSync(source, template);
  const folder = join(dir, "out");
  mkdirSync(folder);
  const counted = join(dir, "checks");
  const memory = await openMemory();
  onTestFinished(() => memory.close());
  const cell = createCell<Snapshot>();
  const backend = {
    ...memory,
    observe: () => ({ ...cell, want: () => {}, refresh: () => {}, close: async () => {} }),
  };
  let lists = new Map<string, readonly Instance[]>();
  const target: Target = {
    source,
    destination: join(folder, "proxy.cfg"),
    check: { shell: `printf . >> ${counted}; ${check}` },
    reload: { kind: "none" },
    commandTimeout: 10_000,
    wait: { min: 5, max: 100 },
    minInterval: 0,
  };
  const logged: (Fields & { message: string; level: string })[] = [];
  const at = (level: string) => (fields: Fields, message: string) =>
    void logged.push({ ...fields, level, message });
  const log: Log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };

  const start = async (targets: readonly Target[] = [target]) => {
    const state = await openStateDir(join(dir, "state"));
    const daemon = startTemplater({ backend, targets, state, env: process.env, node: "h", log });
    const stop = endedWithTest(daemon, state);
    return { daemon, stop };
  };
  return {
    ...{ dir, folder, source, target, logged, start },
    notes: backend.notes?.("templaters") as Notes,
    /** What has not changed is the same object, as from any backend. */
    set(all: readonly Instance[]) {
      const next = new Map<string, Instance[]>();
      for (const one of all) next.set(one.service, [...(next.get(one.service) ?? []), one]);
      const same = [...next].map(([service, list]): [string, readonly Instance[]] => {
        const before = lists.get(service);
        return [service, before && isDeepStrictEqual(before, list) ? before : list];
      });
      lists = new Map(same.sort(([a], [b]) => (a < b ? -1 : 1)));
      cell.set({ services: lists, complete: true, invalid: new Map() });
    },
    live: () => (existsSync(target.destination) ? readFileSync(target.destination, "utf8") : ""),
    checks: () => (existsSync(counted) ? readFileSync(counted, "utf8").length : 0),
    warnings: () => logged.filter(({ level }) => level === "warn"),
    journal: () => readJournal(join(dir, "state")),
  };
}
type Place = Awaited<ReturnType<typeof createPlace>>;

const becomes = (place: Place, ...parts: readonly string[]) =>
  waitFor(`a file with ${parts.join()}`, () => parts.every((part) => place.live().includes(part)), soon);

const ready = ({ daemon }: Awaited<ReturnType<Place["start"]>>) =>
  waitFor("readiness", () => daemon.notReady().length === 0, soon);

describe.each(Object.entries(proxies))("a service that %s refuses", (_name, proxy) => {
  const of = (service: string, port: number, setting = proxy.good) =>
    instance(service, port, { meta: { setting } });

  it("is held back as it was, every other one goes on, and all do once it is mended", async () => {
    const place = await createPlace(proxy.template, await proxy.check());
    place.set([of("api", 81), of("web", 80)]);
    const started = await place.start();
    await ready(started);

    place.set([of("api", 8081), of("web", 8080, "nosuch")]);
    await becomes(place, ":8081", ":80");
    expect(place.live()).not.toContain("8080");
    const { daemon } = started;
    await waitFor("the reason", () => daemon.notReady().join().includes("held back: web: "), soon);
    const [held] = daemon.status().targets?.[0]?.heldBack ?? [];
    expect(held).toMatchObject({ service: "web", why: expect.stringMatching(proxy.says) });
    expect(place.warnings()).toEqual([expect.objectContaining({ service: "web", why: held?.why })]);
    await waitFor("the journal", async () => (await place.journal()).length > 1, soon);
    const last = (await place.journal()).at(-1);
    expect(last).toMatchObject({ verdict: "applied", cause: ["service api"], why: "held back: web" });
    expect(readdirSync(join(place.dir, "state/rejected"))).toHaveLength(1);

    // Changes of others take one check each, as ever.
    const before = place.checks();
    place.set([of("api", 8082), of("web", 8080, "nosuch")]);
    await becomes(place, ":8082");
    expect(place.checks()).toBe(before + 1);

    place.set([of("api", 8082), of("web", 8080)]);
    await becomes(place, ":8082", ":8080");
    await ready(started);
    expect(daemon.status().targets?.[0]).not.toHaveProperty("heldBack");
    const over = place.logged.filter(({ message }) => message === "no longer held back");
    expect(over).toEqual([expect.objectContaining({ service: "web" })]);
    await waitFor(
      "the end of what was refused",
      () => readdirSync(join(place.dir, "state/rejected")).length === 0,
      soon,
    );
  });
});

const of = (service: string, port: number) => instance(service, port);
const many = (bad: readonly number[]) =>
  Array.from({ length: 40 }, (_, at) => of(`s${at}`, (bad.includes(at) ? 60_000 : 50_000) + at));

describe("what a check refuses", () => {
  it("keeps the file as it is where one service alone has changed, until another one does", async () => {
    const place = await createPlace(plain.template, plain.check);
    place.set([of("api", 81), of("web", 80)]);
    const { daemon } = await place.start();
    await becomes(place, "web: 80");
    const before = place.live();
    place.set([of("api", 81), of("web", 60_000)]);
    await waitFor("the refusal", () => daemon.notReady().join().includes("CHECK_FAILED"), soon);
    expect(place.live()).toBe(before);
    expect(daemon.status().targets?.[0]).not.toHaveProperty("heldBack");
    await waitFor("the verdict", async () => (await place.journal()).at(-1)?.verdict === "rejected", soon);
    place.set([of("api", 82), of("web", 60_000)]);
    await becomes(place, "api: 82", "web: 80");
  });

  it.each([
    ["one", [17]],
    ["three", [0, 18, 33]],
    ["three side by side", [1, 2, 3]],
  ])("is found among 40 services that have changed, %s of them, by few checks", async (_, bad) => {
    const place = await createPlace(plain.template, plain.check);
    place.set(Array.from({ length: 39 }, (__, at) => of(`s${at}`, 40_000 + at)));
    const { daemon } = await place.start();
    await becomes(place, "s38: 40038");
    const before = place.checks();
    place.set(many(bad));
    const good = many(bad).filter(({ port }) => port < 60_000);
    await becomes(place, ...good.map(({ service, port }) => `${service}: ${port}\n`));
    for (const at of bad) expect(place.live()).toContain(`s${at}: ${40_000 + at}\n`);
    const held = () => daemon.status().targets?.[0]?.heldBack?.map(({ service }) => service);
    await waitFor("all of them", () => isDeepStrictEqual(held(), bad.map((at) => `s${at}`).sort()), soon);
    // One refusal, a search and an install; again for what a search has left undecided.
    expect(place.checks() - before).toBeLessThanOrEqual((mostChecks(40) + 2) * (bad.length === 1 ? 1 : 2));
  });

  it("leaves out a service that is new, and keeps one that went", async () => {
    const place = await createPlace(plain.template, `${plain.check} && grep -q db {{src}}`);
    place.set([of("db", 1), of("web", 80)]);
    const { daemon } = await place.start();
    await becomes(place, "db: 1");
    place.set([of("new", 60_000), of("web", 81)]);
    await becomes(place, "db: 1", "web: 81");
    expect(place.live()).toBe("db: 1\nweb: 81\n");
    await waitFor("the reason", () => daemon.notReady().join().includes("held back: db, new: "), soon);
  });

  it("is tried again after a restart, and held back from what was live before it", async () => {
    const place = await createPlace(plain.template, plain.check);
    place.set([of("api", 81), of("web", 80)]);
    const first = await place.start();
    await ready(first);
    place.set([of("api", 82), of("web", 60_000)]);
    await becomes(place, "api: 82", "web: 80");
    await first.stop();
    place.set([of("api", 83), of("web", 60_000)]);
    const before = place.checks();
    const second = await place.start();
    await becomes(place, "api: 83", "web: 80");
    expect(place.checks()).toBeGreaterThan(before + 1);
    place.set([of("api", 83), of("web", 84)]);
    await becomes(place, "api: 83", "web: 84");
    await ready(second);
  });

  it("is tried again when the template has changed", async () => {
    const place = await createPlace(plain.template, plain.check);
    place.set([of("api", 81), of("web", 80)]);
    const started = await place.start();
    await ready(started);
    place.set([of("api", 82), of("web", 60_000)]);
    await becomes(place, "api: 82", "web: 80");
    writeFileSync(place.source, plain.template.replace("{{port}}", "p{{port}}"));
    started.daemon.refresh();
    await becomes(place, "api: p82", "web: p60000");
    await ready(started);
  });

  it("T9: is held back from all files of a group", async () => {
    const place = await createPlace(plain.template, plain.check);
    const map: Target = { ...place.target, destination: join(place.folder, "web.map"), group: "lb" };
    const { check: _, ...unchecked } = map;
    place.set([of("api", 81), of("web", 80)]);
    const { daemon } = await place.start([{ ...place.target, group: "lb" }, unchecked]);
    await becomes(place, "web: 80");
    place.set([of("api", 82), of("web", 60_000)]);
    await becomes(place, "api: 82", "web: 80");
    await waitFor("the reason", () => daemon.notReady().join().includes("held back: web: "), soon);
    expect(readFileSync(map.destination, "utf8")).toBe(place.live());
    expect(daemon.status().targets?.map(({ heldBack }) => heldBack?.length)).toEqual([1, 1]);
  });

  it("is not told to those who wait as applied", async () => {
    const place = await createPlace(plain.template, plain.check);
    place.set([of("api", 81), of("web", 80)]);
    await place.start();
    const never = new AbortController().signal;
    const note = async () => {
      const [[name, text] = []] = [...(await place.notes.list(never))];
      return name !== undefined && text !== undefined ? decodeAcknowledgement(text, name) : undefined;
    };
    const applied = async (service: string, port: number) => {
      const now = await note();
      return now !== undefined && isIn(now, { service, id: of(service, port).id });
    };
    await waitFor("both", async () => (await applied("api", 81)) && (await applied("web", 80)), soon);
    place.set([of("api", 82), of("web", 60_000)]);
    await waitFor("the one", () => applied("api", 82), soon);
    expect([await applied("web", 60_000), await applied("web", 80)]).toEqual([false, true]);
  });
});
