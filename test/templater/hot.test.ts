// Templates, partials and files that are edited while a templater runs: nobody tells it.
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openMemory } from "../../src/backends/memory.ts";
import type { Fields, Log } from "../../src/log.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const soon = { within: 20_000 };

async function running(files: Readonly<Record<string, string>>) {
  const dir = tempDir("hot");
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, ".draft"), text);
    renameSync(join(dir, ".draft"), join(dir, name));
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  const state = await openStateDir(join(dir, "state"));
  const logged: string[] = [];
  const note = ({ err }: Fields, message: string) => void logged.push(`${message} ${err ?? ""}`);
  const log: Log = { debug: () => {}, info: note, warn: note, error: note };
  const destination = join(dir, "out.txt");
  const target = {
    source: join(dir, "out.txt.hbs"),
    destination,
    reload: { kind: "none" },
    commandTimeout: 10_000,
    wait: { min: 5, max: 100 },
    minInterval: 0,
  } as const;
  const backend = await openMemory();
  const daemon = startTemplater({ backend, targets: [target], state, env: {}, node: "h", log });
  onTestFinished(async () => {
    await daemon.stop();
    await state.close();
  });
  const live = () => (existsSync(destination) ? readFileSync(destination, "utf8") : undefined);
  return {
    dir,
    daemon,
    destination,
    logged,
    write,
    live,
    shows: (text: string) => waitFor(`the file to be "${text}"`, () => live() === text, soon),
  };
}

it("an edited template is rendered, and a partial that is new, edited or gone", async () => {
  const hot = await running({ "out.txt.hbs": "one" });
  await hot.shows("one");
  hot.write("part.hbs", "[two]");
  hot.write("out.txt.hbs", "{{> part}}");
  await hot.shows("[two]");
  hot.write("part.hbs", "[three]");
  await hot.shows("[three]");
  rmSync(join(hot.dir, "part.hbs"));
  await waitFor("the report", () => hot.logged.some((line) => line.includes('unknown partial "part"')), soon);
  expect(hot.live()).toBe("[three]");
  hot.write("part.hbs", "[four]");
  await hot.shows("[four]");
});

it("a bad edit is reported, and the template before stays in use", async () => {
  const hot = await running({ "out.txt.hbs": '{{file "x"}}', x: "1" });
  await hot.shows("1");
  hot.write("out.txt.hbs", "{{#if}");
  await waitFor("the report", () => hot.daemon.notReady().some((why) => why.includes("TEMPLATE")), soon);
  hot.write("x", "2");
  await hot.shows("2");
  hot.write("out.txt.hbs", "good");
  await hot.shows("good");
  await waitFor("readiness", () => hot.daemon.notReady().length === 0, soon);
});

it("a file that a template reads is read again when it changes, comes and goes", async () => {
  const hot = await running({ "out.txt.hbs": '{{file "x" default="none"}}' });
  await hot.shows("none");
  hot.write("x", "1");
  await hot.shows("1");
  hot.write("x", "2");
  await hot.shows("2");
  rmSync(join(hot.dir, "x"));
  await hot.shows("none");
});

it("T5: a file that is touched and stays as it is writes nothing", async () => {
  const hot = await running({ "out.txt.hbs": '{{file "x"}}{{file "y"}}', x: "1", y: "1" });
  await hot.shows("11");
  const { ctimeNs } = statSync(hot.destination, { bigint: true });
  hot.write("x", "1");
  hot.write("out.txt.hbs", '{{file "x"}}{{file  "y"}}');
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(statSync(hot.destination, { bigint: true }).ctimeNs).toBe(ctimeNs);
  hot.write("y", "2");
  await hot.shows("12");
});
