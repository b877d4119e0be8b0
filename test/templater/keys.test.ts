// Keys and values of the real stores in templates.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import { startRegistry } from "../e2e/registries.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { endedWithTest } from "./ended.ts";
import { worldOf } from "./golden/world.ts";

const never = new AbortController().signal;
const soon = { within: 30_000 };

async function templater(backend: Backend, text: string, dir = tempDir("keys")) {
  writeFileSync(join(dir, "out.txt.hbs"), text);
  const destination = join(dir, "out.txt");
  const state = await openStateDir(join(dir, "state"));
  const target = {
    ...{
      source: join(dir, "out.txt.hbs"),
      destination,
      reload: { kind: "none" as const },
      commandTimeout: 10_000,
    },
    ...{ wait: { min: 5, max: 100 }, minInterval: 0 },
  } as const;
  const quiet = () => {};
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const daemon = startTemplater({ backend, targets: [target], state, env: {}, node: "h", log });
  const stop = endedWithTest(daemon, state);
  const live = () => (existsSync(destination) ? readFileSync(destination, "utf8") : undefined);
  return {
    daemon,
    dir,
    destination,
    live,
    stop,
    shows: (wanted: string) => waitFor(`the file to be "${wanted}"`, () => live() === wanted, soon),
  };
}

describe.each(["memory", "etcd", "zookeeper"] as const)("%s", (name) => {
  const open = async () => {
    const registry = name === "memory" ? undefined : await startRegistry(name);
    const backend = await openBackend(registry?.url ?? "memory:", { env: {} });
    onTestFinished(async () => {
      await backend.close();
      await registry?.stop();
    });
    const { kv } = backend;
    if (kv === undefined) throw new Error(`${name} has no keys`);
    return { backend, kv, registry };
  };

  it("keys that come, change and go are rendered, alone and below a path", async () => {
    const { backend, kv } = await open();
    const { shows } = await templater(
      backend,
      '{{key "/a/x" default="-"}} {{#if (keyExists "/a/x")}}yes{{else}}no{{/if}} {{#each (ls "/a")}}{{key}}={{value}};{{/each}} {{#each (tree "/a/")}}{{key}}={{value}};{{/each}}',
    );
    await shows("- no  ");
    await kv.put("/a/x", "1", never);
    await shows("1 yes x=1; x=1;");
    await kv.put("/a/b/c", "2", never);
    await shows("1 yes x=1; b/c=2;x=1;");
    await kv.put("/a/x", "3", never);
    await shows("3 yes x=3; b/c=2;x=3;");
    await kv.remove("/a/x", never);
    await shows("- no  b/c=2;");
  });

  it.skipIf(name === "memory")("T3: a store that is away takes no value away", async () => {
    const { backend, kv, registry } = await open();
    await kv.put("/a/x", "1", never);
    const { shows, daemon, live } = await templater(backend, '{{key "/a/x"}}');
    await shows("1");
    await registry?.stop();
    await waitFor("the outage", () => daemon.notReady().length > 0, { within: 60_000 });
    expect(live()).toBe("1");
  });

  it.skipIf(name === "memory")("T3: a restart while the store is away renders what was kept", async () => {
    const { backend, kv, registry } = await open();
    await kv.put("/a/x", "s3cret", never);
    await kv.put("/t/y", "2", never);
    const text =
      '{{key "/a/x"}} {{key "/a/none" default="-"}} {{#each (tree "/t")}}{{key}}={{value}};{{/each}}';
    const first = await templater(backend, text);
    await first.shows("s3cret - y=2;");
    await waitFor("readiness", () => first.daemon.notReady().length === 0, soon);
    await first.stop();
    await registry?.stop();
    rmSync(first.destination);
    const second = await templater(backend, `edited ${text}`, first.dir);
    await second.shows("edited s3cret - y=2;");
    expect(second.daemon.notReady().length).toBeGreaterThan(0);
    expect(JSON.stringify(second.daemon.status())).toContain("lastGoodOf");
    expect(JSON.stringify(second.daemon.status())).not.toContain("s3cret");
    const kept = join(first.dir, "state", "last-good");
    for (const file of readdirSync(kept)) expect(statSync(join(kept, file)).mode & 0o777).toBe(0o600);
  });
});

describe("a template that reads keys", () => {
  const render = (text: string, keys?: Parameters<typeof renderTemplate>[1]["keys"]) =>
    renderTemplate(compileTemplate({ path: "t.hbs", text, partials: new Map(), format: "haproxy" }), {
      ...worldOf([]),
      keys,
    });
  const known = {
    keys: new Map([
      ["a", "two words"],
      ["b", undefined],
    ]),
    trees: new Map([["t", new Map<string, string>()]]),
  };

  it("T4: waits for what is not known", () => {
    expect(render('{{key "a"}}')).toMatchObject({ status: "waiting", for: ["key a"] });
    expect(render('{{#each (tree "u")}}{{key}}{{/each}}', known)).toMatchObject({ for: ["keys below u"] });
    expect(render('{{#each (tree "t")}}{{key}}{{/each}}', known)).toMatchObject({ text: "" });
  });

  it("keeps the last good file where keys are required and there are none", () => {
    const asks = '{{#each (ls "t/" required=true)}}{{key}}{{/each}}';
    expect(render(asks)).toMatchObject({ status: "waiting", for: ["keys below t"] });
    expect(() => render(asks, known)).toThrow(/ls t has no keys; write one, or leave out required=true/);
    const filled = { ...known, trees: new Map([["t", new Map([["a", "1"]])]]) };
    expect(render(asks, filled)).toMatchObject({ text: "a" });
    expect(() => render('{{#each (tree "t" required=true)}}{{/each}}', known)).toThrow(/tree t has no keys/);
  });

  it("tells what it read, so that it is subscribed to", () => {
    expect(render('{{#if (keyExists "b")}}{{/if}}{{#each (ls "t/")}}{{/each}}', known).reads).toMatchObject({
      keys: new Set(["b"]),
      trees: new Set(["t"]),
    });
  });

  it.each([
    ['{{key "b"}}', 't.hbs:1:1: key b has no value; write one, or (key "b" default="…")'],
    ['{{key "/"}}', "t.hbs:1:1: key needs the name of a key"],
    ['{{key "a"}}', 'the value of {{key "a"}} cannot stand in a haproxy file, and no instance holds it'],
  ])("%s is an error of the template", (text, message) => {
    expect(() => render(text, known)).toThrowError(message);
  });

  it("is told where there are no keys", () => {
    expect(() => render('{{key "a" default="x"}}', "none")).toThrowError("there are none here");
  });
});
