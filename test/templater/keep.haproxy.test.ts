import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openMemory } from "../../src/backends/memory.ts";
import type { Fields, Log } from "../../src/log.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { parseStates } from "../../src/templater/reload/haproxy/answers.ts";
import { askOnce } from "../../src/templater/reload/haproxy/cli.ts";
import { instance } from "../commands/registry-folder.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const soon = { within: 20_000 };
const never = new AbortController().signal;

it("T6: minInterval holds reloads of HAProxy, and not what it does at runtime; one that is away is waited for", async () => {
  const dir = tempDir("keep-haproxy");
  const [socket, master] = [join(dir, "a.sock"), join(dir, "m.sock")];
  const template = (more = "") => `global
  stats socket ${socket} mode 660 level admin expose-fd listeners
defaults
  mode tcp
  timeout client 5s
  timeout connect 5s
  timeout server 5s
backend web
  balance roundrobin
${more}{{#each (service "web")}}
  server s{{port}} 127.0.0.1:{{port}}
{{/each}}
`;
  const source = join(dir, "haproxy.cfg.hbs");
  const destination = join(dir, "haproxy.cfg");
  writeFileSync(source, template());
  writeFileSync(destination, template().replace(/\{\{.*\}\}\n.*\n.*\n/s, ""));
  // HAProxy does not start without a listener.
  const listener = join(dir, "listener.cfg");
  writeFileSync(listener, `defaults\n mode tcp\n timeout client 1s\nfrontend f\n bind unix@${dir}/f.sock\n`);
  const haproxy = await startHaproxy({
    config: destination,
    masterSocket: master,
    args: ["-f", listener],
  });
  onTestFinished(haproxy.stop);

  const backend = await openMemory();
  const lease = backend.lease({ node: "host1", engine: "ENGINE", run: "r" }, 15);
  await lease.renew(never);
  const put = async (port: number) => void (await lease.register(instance("web", port), never));
  const logged: Fields[] = [];
  const at = (fields: Fields, message: string) => void logged.push({ ...fields, message });
  const log: Log = { debug: at, info: at, warn: at, error: at };
  const state = await openStateDir(join(dir, "state"));
  const daemon = startTemplater({
    backend,
    targets: [
      {
        source,
        destination,
        reload: { kind: "haproxy", socket, master },
        commandTimeout: 20_000,
        wait: { min: 5, max: 100 },
        minInterval: 5_000,
      },
    ],
    state,
    env: {},
    node: "h",
    log,
  });
  onTestFinished(async () => {
    await daemon.stop();
    await state.close();
  });
  const servers = async () => {
    const states = parseStates(await askOnce(socket, "show servers state web", never).catch(() => ""));
    return [...(states?.keys() ?? [])];
  };
  const by = () => logged.flatMap((fields) => (fields.by === undefined ? [] : [fields.by]));
  await waitFor("the first reload", () => by().length === 1, soon);

  const began = performance.now();
  for (const port of [80, 81, 82]) {
    await put(port);
    await waitFor(`${port}`, async () => (await servers()).includes(`web/s${port}`), soon);
  }
  // More than servers: this one has to wait.
  writeFileSync(source, template("  option tcp-check\n"));
  daemon.refresh();
  await waitFor("the reload", () => by().at(-1) === "reload" && by().length > 3, soon);
  expect(performance.now() - began).toBeGreaterThan(4_000);
  expect(by()).toEqual(["reload", "runtime", "runtime", "runtime", "reload"]);
  expect(logged.at(-1)).toMatchObject({ because: "more than servers has changed" });

  await haproxy.stop();
  await put(83);
  await waitFor("the file", () => readFileSync(destination, "utf8").includes("s83"), soon);
  await waitFor("what is owed", () => JSON.stringify(daemon.status()).includes("HAProxy does not run"), soon);
  expect(daemon.notReady()).toEqual([]);
  // A start that is hardly later than the swap is not told from one before it.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await haproxy.start();
  await waitFor("its start", () => by().at(-1) === "start", soon);
  expect(await servers()).toEqual(["web/s80", "web/s81", "web/s82", "web/s83"]);
  expect(daemon.status().targets?.[0]).not.toHaveProperty("owed");
});
