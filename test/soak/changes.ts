// `npm run soak:changes`: a pool changes again and again under load, and every request counts; see README.md.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { type Entry, readJournal } from "../../src/templater/journal.ts";
import { instance, registryFolder } from "../commands/registry-folder.ts";
import { startProgram } from "../e2e/program.ts";
import { prepareProxy } from "../e2e/proxy-under-test.ts";
import { type LoadResult, startSteadyLoad } from "../e2e/steady-load.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { cleanLeftovers } from "../servers/leftovers.ts";
import { freePorts } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";
import { countOption } from "./count-option.ts";
import { runSoak, say } from "./run.ts";

const page = "web.test";
const soon = { within: 20_000 };

function readOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      changes: { type: "string", default: "200" },
      rate: { type: "string", default: "2000" },
      connections: { type: "string", default: "64" },
    },
  });
  return {
    changes: countOption(values, "changes"),
    rate: countOption(values, "rate"),
    connections: countOption(values, "connections"),
  };
}

/** Servers that cost next to nothing: GET is answered with a text, POST with what was posted. */
async function startOrigins(ports: readonly number[]): Promise<TestServer> {
  const config = join(tempDir("origins"), "haproxy.cfg");
  const lines = [
    "defaults",
    ...["mode http", "timeout client 60s", "timeout http-request 10s"].map((line) => `  ${line}`),
    "frontend origins",
    ...ports.map((port) => `  bind 127.0.0.1:${port}`),
    "  http-request wait-for-body time 5s if METH_POST",
    '  http-request return status 200 content-type text/plain lf-string "%[req.body]" if METH_POST',
    "  http-request return status 200 content-type text/plain string page",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  return startHaproxy({ config });
}

/** A registry, a templater and HAProxy with the shipped template; the first instance always stays. */
async function startStage() {
  const running: TestServer[] = [];
  const dir = tempDir("changes");
  const ports = await freePorts(5);
  running.push(await startOrigins(ports));
  const registry = registryFolder(join(dir, "registry"));
  const records = ports.map((port) =>
    instance("web", port, { address: "127.0.0.1", meta: { http_host: page } }),
  );
  const [first, ...others] = records;
  if (first === undefined) throw new Error("no instance");
  registry.put(first);

  const proxy = await prepareProxy("haproxy");
  const socket = proxy.env.PORTOLAN_HAPROXY_SOCKET;
  const reload = { haproxy: { socket, pidfile: proxy.pidFile } };
  const target = { source: proxy.template, destination: proxy.config, check: proxy.check, reload };
  const [config, state] = [join(dir, "portolan.yaml"), join(dir, "state")];
  writeFileSync(config, stringify({ templater: { templates: [target] } }));
  const args = ["-c", config, "--state-dir", state, registry.url];
  running.push(await startProgram("templater", args, proxy.env));
  await waitFor("the file", () => readFileSync(proxy.config, "utf8"), soon);
  running.push(await proxy.start());
  await waitFor("the page", async () => (await proxy.get(page)).status === 200, soon);
  const journal = () => readJournal(state);
  // Until HAProxy was asked, or reloaded, it may be at another file; a worker of before a reload ends its connections.
  const isAccepted = ({ verdict }: Entry) => verdict === "applied" || verdict === "reloaded";
  await waitFor("what is accepted", async () => (await journal()).some(isAccepted), soon);
  const workers = () => {
    const master = readFileSync(proxy.pidFile, "utf8").trim();
    return readFileSync(`/proc/${master}/task/${master}/children`, "utf8").trim().split(" ");
  };
  await waitFor("old workers to end", () => workers().length === proxy.workers, { within: 40_000 });

  const there = new Set<number>();
  return {
    port: Number(proxy.env.PORTOLAN_HTTP_BIND?.split(":")[1]),
    journal,
    /** One that was not there comes, one that was there goes, or the first one gets another weight. */
    change(number: number) {
      const at = number % (others.length + 1);
      const other = others[at];
      if (other === undefined) return registry.put({ ...first, weight: 1 + (number % 7) });
      if (!there.has(at)) registry.put(other);
      else rmSync(join(dir, "registry/services/web", `${other.id}.json`));
      if (!there.delete(at)) there.add(at);
    },
    async stop() {
      for (const one of running.reverse()) await one.stop();
    },
  };
}

/** Says what happened; true when all is as promised. */
function report(applied: readonly Entry[], seconds: number, rate: number, result: LoadResult): boolean {
  const { answered, failed, slowest } = result;
  const perSecond = Math.floor(answered / seconds);
  const byReload = applied.filter(({ by }) => by !== "runtime").length;
  say(`${applied.length} changes applied in ${seconds.toFixed(1)} s, ${byReload} of them by a reload`);
  say(`${answered} requests answered, ${perSecond} per second, the slowest after ${Math.round(slowest)} ms`);
  say(`${failed.length} requests failed${failed.length > 0 ? `: ${[...new Set(failed)].join(", ")}` : ""}`);
  if (perSecond < rate) say(`the load was not reached: less than ${rate} per second`);
  return failed.length === 0 && byReload === 0 && perSecond >= rate;
}

async function main(): Promise<number> {
  const { changes, rate, connections } = readOptions(process.argv.slice(2));
  await cleanLeftovers();
  const stage = await startStage();
  try {
    const before = (await stage.journal()).length;
    const applied = async () =>
      (await stage.journal()).slice(before).filter(({ verdict }) => verdict === "applied");
    // A little more is sent, so that what is answered is the rate.
    const load = startSteadyLoad({ port: stage.port, host: page, rate: Math.ceil(rate * 1.05), connections });
    const began = performance.now();
    for (let i = 0; i < changes; i++) {
      stage.change(i);
      await waitFor(`change ${i + 1}`, async () => (await applied()).length > i, soon);
    }
    const result = await load.stop();
    return report(await applied(), (performance.now() - began) / 1000, rate, result) ? 0 : 1;
  } finally {
    await stage.stop();
  }
}

await runSoak(main);
