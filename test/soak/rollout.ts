// `npm run soak:rollout`: containers are replaced again and again under load, and every request counts; see README.md.
import { parseArgs } from "node:util";
import { portolan } from "../e2e/program.ts";
import { startRegistry, storeNames } from "../e2e/registries.ts";
import { page, type RolloutStage, startRolloutStage } from "../e2e/rollout-stage.ts";
import { type LoadResult, startSteadyLoad } from "../e2e/steady-load.ts";
import { startDockerHost } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { cleanLeftovers } from "../servers/leftovers.ts";
import { waitFor } from "../servers/wait.ts";
import { countOption } from "./count-option.ts";
import { runSoak, say } from "./run.ts";

const names = ["web-1", "web-2", "web-3"];

function readOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      store: { type: "string", default: "file" },
      replacements: { type: "string", default: "100" },
      stops: { type: "string", default: "100" },
      rate: { type: "string", default: "1000" },
      connections: { type: "string", default: "64" },
      drain: { type: "string", default: "1s" },
    },
  });
  const store = storeNames.find((name) => name === values.store);
  if (!store) throw new Error(`--store ${values.store}: one of ${storeNames.join(", ")}`);
  return {
    store,
    replacements: countOption(values, "replacements"),
    stops: countOption(values, "stops"),
    rate: countOption(values, "rate"),
    connections: countOption(values, "connections"),
    drain: values.drain,
  };
}

/** What failed, by reason. */
function reasons({ failed }: LoadResult): string {
  const counts = new Map<string, number>();
  for (const why of failed) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].map(([why, count]) => `${count} × ${why}`).join(", ");
}

function report(what: string, count: number, seconds: number, result: LoadResult): void {
  const { sent, answered, failed, slowest } = result;
  const rate = Math.round(sent / seconds);
  say(
    `${what}: ${count} in ${Math.round(seconds)} s, ${sent} requests (${rate} per second), ${answered} answered`,
  );
  say(`${what}: ${failed.length} failed${failed.length > 0 ? ` (${reasons(result)})` : ""}`);
  say(`${what}: the slowest answer took ${Math.round(slowest)} ms`);
}

/** Replaces containers, one at a time in turn, by `one`; under load all the time. */
async function underLoad(
  what: string,
  count: number,
  load: Parameters<typeof startSteadyLoad>[0],
  one: (name: string) => Promise<void>,
): Promise<LoadResult> {
  const requests = startSteadyLoad(load);
  const began = performance.now();
  let done = 0;
  try {
    while (done < count) {
      await one(names[done % names.length] ?? "");
      done += 1;
      if (done % 10 === 0) say(`${what}: ${done} of ${count}`);
    }
  } finally {
    report(what, done, (performance.now() - began) / 1000, await requests.stop());
  }
  return requests.stop();
}

async function main(): Promise<number> {
  const { store, replacements, stops, rate, connections, drain } = readOptions(process.argv.slice(2));
  await cleanLeftovers();
  const host = await startDockerHost();
  const registry = await startRegistry(store);
  let stage: RolloutStage | undefined;
  try {
    stage = await startRolloutStage(host, { url: registry.url, drain });
    for (const name of names) await stage.web(name);
    const { port } = await stage.balance("haproxy");
    const load = { port, host: page, rate, connections };
    const { options, replace, records } = stage;
    const rolled = await underLoad("portolan rollout", replacements, load, async (name) => {
      const ended = await portolan(["rollout", name, ...options, "--", replace]);
      if (ended.code !== 0) throw new Error(`rollout of ${name}: ${ended.code}: ${ended.stderr}`);
    });
    // The same by hand: what everybody does without this.
    const isReady = (name: string) =>
      records().some(({ container, state }) => container?.name === name && state === "ready");
    await underLoad("docker stop", stops, load, async (name) => {
      await host.docker(["stop", name]);
      await exec(replace, [], { env: { DOCKER_HOST: host.dockerHost, PORTOLAN_CONTAINER: name } });
      await waitFor(`${name} to be ready`, () => isReady(name), { within: 30_000 });
    });
    return rolled.failed.length === 0 ? 0 : 1;
  } finally {
    await stage?.stop();
    await registry.stop();
    await host.stop();
  }
}

await runSoak(main);
