import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Backend, Snapshot } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import type { Daemon } from "../../src/daemon.ts";
import { type ErrorCode, PortolanError } from "../../src/errors.ts";
import type { Fields, Log } from "../../src/log.ts";
import { type Cell, createCell } from "../../src/source.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import type { Target } from "../../src/templater/target.ts";
import { instance } from "../commands/registry-folder.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const soon = { within: 10_000 };
const ports = '{{#each (service "web")}}{{port}} {{/each}}';

/** A templater with one target, `out.txt`, over a backend in memory. */
interface Kept {
  readonly dir: string;
  readonly daemon: Daemon;
  readonly logged: readonly (Fields & { readonly level: string })[];
  errors(): readonly string[];
  /** Registers an instance of `web` at this port. */
  put(port: number): Promise<void>;
  live(): string | undefined;
  /** Replaces the template. */
  edit(text: string): void;
}

async function keep(
  text: string,
  changes: (dir: string) => Partial<Target> = () => ({}),
  others: (dir: string) => readonly Partial<Target>[] = () => [],
): Promise<Kept> {
  const backend = await openMemory();
  const lease = backend.lease({ node: "host1", engine: "ENGINE", run: "r" }, 15);
  const never = new AbortController().signal;
  await lease.renew(never);
  const kept = await keepOver(backend, text, changes, others);
  return {
    ...kept,
    put: async (port) => void (await lease.register(instance("web", port), never)),
  };
}

async function keepOver(
  backend: Backend,
  text: string,
  changes: (dir: string) => Partial<Target> = () => ({}),
  others: (dir: string) => readonly Partial<Target>[] = () => [],
): Promise<Omit<Kept, "put">> {
  const dir = tempDir("keep");
  const source = join(dir, "out.txt.hbs");
  const destination = join(dir, "out.txt");
  const edit = (next: string) => {
    writeFileSync(join(dir, "draft"), next);
    renameSync(join(dir, "draft"), source);
  };
  edit(text);
  const state = await openStateDir(join(dir, "state"));
  const logged: (Fields & { level: string })[] = [];
  const at = (level: string) => (fields: Fields, message: string) =>
    void logged.push({ ...fields, level, message });
  const log: Log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  const target: Target = {
    source,
    destination,
    reload: { kind: "none" },
    commandTimeout: 10_000,
    wait: { min: 5, max: 100 },
    minInterval: 0,
    ...changes(dir),
  };
  const targets = [target, ...others(dir).map((other) => ({ ...target, ...other }))];
  const daemon = startTemplater({ backend, targets, state, env: {}, node: "h", log });
  onTestFinished(async () => {
    await daemon.stop();
    await state.close();
  });
  return {
    dir,
    daemon,
    logged,
    errors: () => logged.filter(({ level }) => level === "error").map(({ err }) => (err as Error).message),
    live: () => (existsSync(destination) ? readFileSync(destination, "utf8") : undefined),
    edit,
  };
}

const lines = (path: string) => (existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : []);

describe("a template that is read again", () => {
  it("is read once more when that is asked for while it is being read", async () => {
    const kept = await keep(ports);
    await waitFor("the file", () => kept.live() === "", soon);
    const source = join(kept.dir, "out.txt.hbs");
    execFileSync("mkfifo", [`${source}.pipe`]);
    renameSync(`${source}.pipe`, source);
    kept.daemon.refresh();
    const pipe = await open(source, "w"); // opens once the templater reads
    kept.edit("new");
    kept.daemon.refresh();
    await pipe.writeFile("old");
    await pipe.close();
    await waitFor("the newest text", () => kept.live() === "new", soon);
  });

  it.each([
    ["does not compile", "{{nosuch}}"],
    ["does not render", '{{env "NOT_SET"}}'],
    ["does not render what it had to wait for", '{{#each (service "other")}}{{/each}}{{env "NOT_SET"}}'],
  ])("stays what it was while the new one %s: reported once, changes still applied", async (_what, bad) => {
    const kept = await keep(ports);
    await kept.put(80);
    await waitFor("the file", () => kept.live() === "80 ", soon);
    kept.edit(bad);
    kept.daemon.refresh();
    await waitFor("the reason", () => kept.daemon.notReady().join().includes("TEMPLATE"), soon);
    await kept.put(81);
    await waitFor("the change", () => kept.live() === "80 81 ", soon);
    expect(kept.daemon.notReady().join()).toContain("TEMPLATE");
    expect(kept.errors()).toHaveLength(1);
    kept.edit(`new ${ports}`);
    await waitFor("the mended one", () => kept.live() === "new 80 81 ", soon);
    await waitFor("readiness", () => kept.daemon.notReady().length === 0, soon);
  });

  it("that failed with its first data is tried again when these change", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.99);
    onTestFinished(() => void vi.restoreAllMocks());
    const kept = await keep('{{#each (service "web")}}{{port}}{{else}}{{env "NOT_SET"}}{{/each}}');
    const tries = () => kept.logged.filter(({ retryInMs }) => Number(retryInMs) > 2_500).length;
    await waitFor("a long wait", () => tries() > 0, { within: 20_000 });
    const start = performance.now();
    await kept.put(80);
    await waitFor("the file", () => kept.live() === "80", soon);
    expect(performance.now() - start).toBeLessThan(2_400);
  });
});

describe("T4: a service that was not asked for before", () => {
  it("is known at once when the backend holds none", async () => {
    const kept = await keep(ports);
    await kept.put(80);
    await waitFor("the instance", () => kept.live() === "80 ", soon);
    kept.edit(`${ports}{{#each (service "other")}}{{port}}{{else}}none{{/each}}`);
    kept.daemon.refresh();
    await waitFor("the new text", () => kept.live() === "80 none", soon);
    await waitFor("readiness", () => kept.daemon.notReady().length === 0, soon);
  });

  it("is not taken for empty, even where a storm has no bound", async () => {
    const backend = await openMemory();
    const lease = backend.lease({ node: "host1", engine: "ENGINE", run: "r" }, 15);
    const never = new AbortController().signal;
    await lease.renew(never);
    await lease.register(instance("web", 80), never);
    const kept = await keepOver(backend, ports, (dir) => ({
      wait: { min: 0, max: 0 },
      check: { shell: `echo "<$(cat "$PORTOLAN_STAGED")>" >> ${join(dir, "checked")}` },
    }));
    await waitFor("the file", () => kept.live() === "80 ", soon);
    expect(lines(join(kept.dir, "checked"))).toEqual(["<80 >"]);
  });
});

it("renders what changes while a file is applied of which the proxy, which does not run, hears later", async () => {
  const marker = join(tempDir("keep"), "checking");
  const kept = await keep(ports, () => ({
    wait: { min: 0, max: 0 },
    check: { shell: `touch ${marker}; sleep 0.3` },
    reload: { kind: "haproxy", socket: "/nonexistent/admin.sock" },
  }));
  await waitFor("the file", () => kept.live() === "", soon);
  rmSync(marker);
  await kept.put(80);
  await waitFor("the check", () => existsSync(marker), soon);
  await kept.put(81);
  await waitFor("both", () => kept.live() === "80 81 ", soon);
});

it("applies what is there at the start at once, and a change after wait.min", async () => {
  const began = performance.now();
  const kept = await keep(ports, () => ({ wait: { min: 3_000, max: 3_000 } }));
  await waitFor("the file", () => kept.live() === "", soon);
  expect(performance.now() - began).toBeLessThan(2_900);
  const changedAt = performance.now();
  await kept.put(80);
  await waitFor("the change", () => kept.live() === "80 ", { within: 30_000 });
  expect(performance.now() - changedAt).toBeGreaterThan(2_900);
});

it("waits wait.min for what comes after a start that had too little", async () => {
  const seen = new Set<string>();
  const kept = await keep(ports, () => ({ wait: { min: 500, max: 3_000 }, guard: { min: { web: 1 } } }));
  await waitFor("the reason", () => kept.daemon.notReady().join().includes("at least 1"), soon);
  const looking = setInterval(() => seen.add(kept.live() ?? ""), 1);
  onTestFinished(() => clearInterval(looking));
  await kept.put(80);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await kept.put(81);
  await waitFor("both", () => kept.live() === "80 81 ", { within: 30_000 });
  expect([...seen]).not.toContain("80 ");
});

describe("minInterval", () => {
  const note = (dir: string) => join(dir, "reloads");
  const reload = (dir: string, code: number) =>
    ({ kind: "command", command: { shell: `date +%s%3N >> ${note(dir)}; exit ${code}` } }) as const;

  it.each([
    ["succeed", 0],
    ["fail", 1],
  ])("T6 stands between reloads that %s", async (_what, code) => {
    const kept = await keep(ports, (dir) => ({ minInterval: 1_000, reload: reload(dir, code) }));
    await waitFor("the first reload", () => lines(note(kept.dir)).length > 0, soon);
    for (let port = 80; lines(note(kept.dir)).length < 4; port++) {
      await kept.put(port);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    const times = lines(note(kept.dir)).map(Number);
    for (const [index, time] of times.slice(1).entries()) {
      expect(time - (times[index] ?? 0)).toBeGreaterThan(950);
    }
  });

  it("does not hold the first reload", async () => {
    const kept = await keep(ports, (dir) => ({ minInterval: 3_600_000, reload: reload(dir, 0) }));
    await waitFor("it", () => lines(note(kept.dir)).length > 0, soon);
  });

  it("does not hold a file that needs no reload", async () => {
    const kept = await keep(ports, () => ({ minInterval: 3_600_000 }));
    await waitFor("the first", () => kept.live() === "", soon);
    await kept.put(80);
    await waitFor("the second", () => kept.live() === "80 ", soon);
  });
});

describe("reloads of one proxy", () => {
  it("come one at a time, and the latest file wins, whichever target or group asks", async () => {
    const shell = (dir: string) =>
      `mkdir ${dir}/busy || echo twice >> ${dir}/wrong; sleep 0.2; cat ${dir}/*.txt | tr '\\n' . >> ${dir}/reloads; echo >> ${dir}/reloads; rmdir ${dir}/busy`;
    const kept = await keep(
      ports,
      (dir) => ({ group: "one", reload: { kind: "command", command: { shell: shell(dir) } } }),
      (dir) => [
        { destination: join(dir, "second.txt") },
        { destination: join(dir, "third.txt"), group: "two" },
      ],
    );
    await waitFor("readiness", () => kept.daemon.notReady().length === 0, soon);
    const before = lines(join(kept.dir, "reloads")).length;
    for (let port = 80; port < 90; port++) await kept.put(port);
    const all = Array.from({ length: 10 }, (_, index) => `${80 + index} `).join("");
    const isLatest = () => lines(join(kept.dir, "reloads")).at(-1)?.trim() === all.repeat(3).trim();
    await waitFor("the latest", isLatest, soon);
    expect(existsSync(join(kept.dir, "wrong"))).toBe(false);
    // Ten changes at once are a few reloads, and not ten for each group.
    expect(lines(join(kept.dir, "reloads")).length - before).toBeLessThan(12);
  });
});

describe("T7: what the proxy refuses", () => {
  /** A make-believe proxy that refuses a file with an 81 in it, and notes each reload. */
  const refusing = (dir: string) =>
    ({
      minInterval: 50,
      reload: {
        kind: "command",
        command: {
          shell: `cat ${join(dir, "out.txt")} >> ${join(dir, "reloads")}; echo >> ${join(dir, "reloads")}; ! grep -q 81 ${join(dir, "out.txt")}`,
        },
      },
    }) as const;

  it("is put back at once, tried again later and not in a tight loop, and at once when it changes", async () => {
    const kept = await keep(ports, refusing);
    await kept.put(80);
    await waitFor("the first", () => kept.live() === "80 " && kept.daemon.notReady().length === 0, soon);
    await kept.put(81);
    await waitFor("the reason", () => kept.daemon.notReady().join().includes("RELOAD_FAILED"), soon);
    expect(kept.live()).toBe("80 ");
    const reloads = () => lines(join(kept.dir, "reloads")).map((line) => line.trim());
    await waitFor("what is back to be reloaded", () => reloads().at(-1) === "80", soon);
    const tries = () => reloads().filter((line) => line === "80 81").length;
    const before = tries();
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(tries()).toBe(before);
    expect(kept.errors()).toHaveLength(1);
    await waitFor("another try", () => tries() > before, { within: 30_000 });
    await waitFor("what is back", () => kept.live() === "80 ", soon);
    await kept.put(82);
    await waitFor("another text", () => reloads().includes("80 81 82"), soon);
    kept.edit("mended");
    kept.daemon.refresh();
    await waitFor("the mended one", () => kept.live() === "mended", soon);
    await waitFor("readiness", () => kept.daemon.notReady().length === 0, soon);
  });
});

it("T7: what a proxy has still to take is given to it, also after neither that nor what came later could be written", async () => {
  const kept = await keep(ports, (dir) => {
    mkdirSync(join(dir, "place"));
    const running = `test -e ${dir}/up || exit 127; cp "$PORTOLAN_DESTINATION" ${dir}/running`;
    return {
      destination: join(dir, "place/out.txt"),
      check: { shell: '! grep -q 81 "$PORTOLAN_STAGED"' },
      reload: { kind: "command", command: { shell: running } },
    };
  });
  const [place, away] = [join(kept.dir, "place"), join(kept.dir, "away")];
  await kept.put(80);
  await waitFor("the file", () => lines(join(place, "out.txt"))[0] === "80", soon);
  await kept.put(81);
  await waitFor("the refusal", () => kept.errors().some((error) => error.includes("its check")), soon);
  renameSync(place, away);
  kept.daemon.refresh();
  await waitFor("the failure", () => kept.daemon.notReady().join().includes("does not exist"), soon);
  renameSync(away, place);
  writeFileSync(join(kept.dir, "up"), "");
  kept.daemon.refresh();
  await waitFor("its reload", () => lines(join(kept.dir, "running"))[0] === "80", soon);
});

describe("T9: a group of targets", () => {
  const group = (dir: string, second: string) => {
    const text = '{{#each (service "api")}}{{port}} {{/each}}';
    writeFileSync(join(dir, "second.txt.hbs"), second || text);
    return {
      source: join(dir, "second.txt.hbs"),
      destination: join(dir, "second.txt"),
      reload: { kind: "none" } as const,
    };
  };
  const shared = (dir: string): Partial<Target> => ({
    group: "lb",
    reload: {
      kind: "command",
      command: {
        shell: `cat ${dir}/out.txt ${dir}/second.txt | tr '\\n' . >> ${dir}/reloads; echo >> ${dir}/reloads`,
      },
    },
  });

  it("reloads once for all, for a change of any; and none is written while one cannot be rendered", async () => {
    const kept = await keep(ports, shared, (dir) => [group(dir, "")]);
    await waitFor("both", () => existsSync(join(kept.dir, "second.txt")), soon);
    await waitFor("readiness", () => kept.daemon.notReady().length === 0, soon);
    expect(lines(join(kept.dir, "reloads"))).toEqual([""]);
    await kept.put(80);
    await waitFor("the change", () => lines(join(kept.dir, "reloads")).at(-1) === "80", soon);
    writeFileSync(join(kept.dir, "second.txt.hbs"), '{{env "NOT_SET"}}');
    kept.daemon.refresh();
    await waitFor("the reason", () => kept.daemon.notReady().join().includes("NOT_SET"), soon);
    await kept.put(81);
    // The template before stays in use, for the whole group.
    await waitFor("the next change", () => lines(join(kept.dir, "reloads")).at(-1) === "80 81", soon);
    const { targets } = kept.daemon.status() as {
      targets: readonly { destination: string; group: string }[];
    };
    expect(targets.map((target) => [target.destination, target.group])).toEqual([
      [join(kept.dir, "out.txt"), "lb"],
      [join(kept.dir, "second.txt"), "lb"],
    ]);
  });

  it("waits as a whole for what one of its templates does not know", async () => {
    const kept = await keep("constant", shared, (dir) => [group(dir, '{{env "NOT_SET"}}')]);
    await waitFor("the reason", () => kept.daemon.notReady().join().includes("NOT_SET"), soon);
    expect(kept.live()).toBeUndefined();
  });
});

describe("T8: what hangs", () => {
  it.each(["check", "reload"] as const)(
    "a %s is ended at its timeout, and other targets go on",
    async (which) => {
      const hang = (dir: string) =>
        `grep -q 81 ${join(dir, "out.txt")} "$PORTOLAN_STAGED" 2> /dev/null || exit 0`;
      const kept = await keep(
        ports,
        (dir) => {
          const command = { shell: `${hang(dir)}; trap "" TERM; echo $$ >> ${dir}/hung; sleep 1000` };
          return {
            commandTimeout: 300,
            ...(which === "check" ? { check: command } : { reload: { kind: "command", command } }),
          };
        },
        (dir) => [
          { destination: join(dir, "other.txt"), check: { argv: ["true"] }, reload: { kind: "none" } },
        ],
      );
      const other = () => lines(join(kept.dir, "other.txt"))[0];
      await kept.put(80);
      await waitFor("the file", () => kept.live() === "80 ", soon);
      await kept.put(81);
      await waitFor("the other one, while this one hangs", () => other() === "80 81", soon);
      const reasons = () => kept.daemon.notReady().join();
      await waitFor("the reason", () => reasons().includes("did not end within 0.3 s"), { within: 30_000 });
      // T1, T7: what hung was neither checked nor taken.
      await waitFor("the last good file", () => kept.live() === "80 ", soon);
      const [hung] = lines(join(kept.dir, "hung"));
      await waitFor("its end", () => !existsSync(`/proc/${hung}`), soon);
    },
  );
});

describe("a destination that vanishes", () => {
  it("is written again once its folder is back; meanwhile the reason is shown, and other targets go on", async () => {
    const kept = await keep(
      ports,
      (dir) => {
        mkdirSync(join(dir, "place"));
        return { destination: join(dir, "place/out.txt") };
      },
      (dir) => [{ destination: join(dir, "other.txt") }],
    );
    const place = join(kept.dir, "place");
    const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
    await kept.put(80);
    await waitFor("the file", () => read(join(place, "out.txt")) === "80 ", soon);
    renameSync(place, join(kept.dir, "away"));
    await kept.put(81);
    await waitFor(
      "the reason",
      () => kept.daemon.notReady().join().includes("does not exist; create it"),
      soon,
    );
    await waitFor("the other", () => read(join(kept.dir, "other.txt")) === "80 81 ", soon);
    // Another, empty one, as a volume is that was mounted anew.
    mkdirSync(place);
    await waitFor("the file", () => read(join(place, "out.txt")) === "80 81 ", { within: 30_000 });
    await waitFor("readiness", () => kept.daemon.notReady().length === 0, soon);
  });
});

describe("what keeps failing", () => {
  it("is logged once, though the program prints its pid, the time and a temporary file", async () => {
    const check = { shell: 'echo "[$$] $(date +%N) $(mktemp -u) no"; exit 1' };
    const kept = await keep(ports, () => ({ check }));
    const tries = () => kept.logged.filter(({ err }) => err !== undefined).length;
    await waitFor("three tries", () => tries() > 2, { within: 20_000 });
    expect(kept.errors()).toHaveLength(1);
    const before = tries();
    kept.daemon.refresh();
    await waitFor("another try", () => tries() > before, soon);
    // Whoever asks for it gets an answer.
    expect(kept.errors()).toHaveLength(2);
  });

  it("does not look ready while a check hangs", async () => {
    const check = { shell: 'test ! -s "$PORTOLAN_STAGED" || sleep 60' };
    const kept = await keep(ports, () => ({ check, commandTimeout: 60_000 }));
    await waitFor("the first file", () => kept.daemon.notReady().length === 0, soon);
    await kept.put(80);
    await waitFor("the reason", () => kept.daemon.notReady().join().includes("not applied yet"), {
      within: 30_000,
    });
    const start = performance.now();
    await kept.daemon.stop();
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(kept.live()).toBe("");
  });
});

describe("the backend's problem", () => {
  function scripted(): { readonly backend: Backend; readonly cell: Cell<Snapshot> } {
    const cell = createCell<Snapshot>();
    const backend: Backend = {
      title: "scripted:",
      capabilities: { expiry: "none", checks: false },
      observe: () => ({ ...cell, refresh() {}, want() {}, close: async () => {} }),
      lease: () => {
        throw new Error("only read");
      },
      close: async () => {},
    };
    return { backend, cell };
  }
  const fail = (cell: Cell<Snapshot>, message: string, code: ErrorCode = "BACKEND_UNREACHABLE") =>
    cell.fail({
      kind: code === "BACKEND_DENIED" ? "denied" : "unreachable",
      error: new PortolanError(code, message),
    });

  it("is known from the start, logged once per outage, and told as it is now", async () => {
    const { backend, cell } = scripted();
    fail(cell, "etcd-1 refused");
    const { daemon, errors, logged } = await keepOver(backend, ports);
    expect(daemon.notReady()).toContain("scripted:: etcd-1 refused");
    for (const host of ["etcd-2", "etcd-1", "etcd-2"]) fail(cell, `${host} refused`);
    expect(daemon.notReady()).toContain("scripted:: etcd-2 refused");
    expect(errors()).toEqual(["etcd-1 refused"]);
    fail(cell, "no right", "BACKEND_DENIED");
    expect(errors()).toEqual(["etcd-1 refused", "no right"]);
    cell.set({ services: new Map(), complete: true, invalid: new Map() });
    await waitFor("readiness", () => daemon.notReady().length === 0, soon);
    expect(logged.filter(({ message }) => message === "backend is back")).toHaveLength(1);
  });
});
