import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, inject, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import type { Fields, Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import type { PromotionCommand } from "../../src/registrator/roles/promotion-command.ts";
import { listProcesses } from "../servers/proc.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { settings } from "./build.ts";
import { startScriptedDocker } from "./scripted-docker.ts";

const soon = { within: 30_000 };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

let counter = 0;

/** A registrator of elected containers on etcd, with a lock that runs out soon. */
async function startStage(onPromote: PromotionCommand, names: readonly string[], env = {}) {
  counter += 1;
  const { host, port } = inject("etcd");
  const docker = await startScriptedDocker();
  closers.push(() => docker.stop());
  for (const [at, name] of names.entries()) {
    const labels = { SERVICE_NAME: "db", SERVICE_ROLE: "elect" };
    docker.containers.set(name, { name, running: true, hostPort: 8000 + at, labels });
  }
  const backend = await openBackend(`etcd://${host}:${port}/promotion-${process.pid}-${counter}`, {
    env: {},
  });
  closers.push(() => backend.close());
  const told: (Fields & { readonly message: string })[] = [];
  const tell = (fields: Fields, message: string) => void told.push({ ...fields, message });
  const log: Log = { debug: () => {}, info: tell, warn: tell, error: tell };
  const counted: string[] = [];
  const start = () => {
    const daemon = startRegistrator({
      docker: docker.url,
      backends: [backend],
      settings: settings({ ip: "10.0.0.5", node: "host1", ttlSeconds: 3, onPromote }),
      env: { PATH: process.env.PATH, ...env },
      log,
      meter: {
        count: (name, labels) =>
          void (name === "promotions" && counted.push(String((labels as { result?: string }).result))),
        time: () => {},
      },
    });
    let stopped: Promise<void> | undefined;
    const stop = () => (stopped ??= daemon.stop());
    closers.push(stop);
    return { ...daemon, stop };
  };
  const observation = backend.observe({ services: "all" });
  closers.push(() => observation.close());
  const records = (): readonly Instance[] => {
    const observed = observation.current();
    return (observed.known && observed.value.services.get("db")) || [];
  };
  const master = () => records().find(({ role }) => role === "master");
  return { docker, start, records, master, told, counted, changed: observation.subscribe };
}

/** A program that notes its context and waits for `go` beside it. */
function patientScript() {
  const dir = tempDir("promote");
  const script = join(dir, "promote.sh");
  const names = "SERVICE INSTANCE CONTAINER NODE ADDRESS PORT ROLE TOKEN".split(" ");
  const said = names.map((name) => `$PORTOLAN_${name}`).join(" ");
  writeFileSync(
    script,
    `#!/bin/sh\necho "$1 ${said} $SECRET" >> ${dir}/runs\nuntil [ -e ${dir}/go ]; do sleep 0.05; done\n`,
    { mode: 0o755 },
  );
  const runs = () =>
    existsSync(join(dir, "runs")) ? readFileSync(join(dir, "runs"), "utf8").trim().split("\n") : [];
  return { script, runs, go: () => writeFileSync(join(dir, "go"), "") };
}

it("runs the command once for the winner, before it is master, and not after a restart", async () => {
  const { script, runs, go } = patientScript();
  const onPromote = { argv: [script, "two  words"], timeout: 60_000 };
  const stage = await startStage(onPromote, ["db-1"], { SECRET: "hush" });
  const first = stage.start();
  await waitFor("the command", () => runs().length === 1, soon);
  await waitFor("a slave", () => stage.records().some(({ role }) => role === "slave"), soon);
  expect(stage.master()).toBeUndefined();
  go();
  const elected = await waitFor("the master", () => stage.master(), soon);
  const { id, container, port, claim } = elected;
  expect(runs()).toEqual([
    `two  words db ${id} ${container?.name} host1 10.0.0.5 ${port} master ${claim?.epoch} hush`,
  ]);
  expect(stage.counted).toEqual(["done"]);
  expect(JSON.stringify(stage.told)).not.toContain("hush");

  const lost: string[] = [];
  const unsubscribe = stage.changed(() => {
    if (stage.master()?.id !== id) lost.push(JSON.stringify(stage.records()));
  });
  await first.stop();
  stage.start();
  const isTaken = () => (stage.master()?.claim?.epoch ?? claim?.epoch) !== claim?.epoch;
  await waitFor("a lock of the next process", isTaken, soon);
  unsubscribe();
  expect(lost).toEqual([]);
  expect(runs()).toHaveLength(1);
});

it("ends one that hangs with all that it has started, says so, and has no master before one has succeeded", async () => {
  const dir = tempDir("promote");
  const ready = join(dir, "ready");
  const seconds = String(60_000_000 + process.pid);
  const hangs = `[ -e ${ready} ] && exit 0; echo "cannot reach the store"; sleep ${seconds} & sleep ${seconds}`;
  const sleeping = () => listProcesses().filter(({ command }) => command === `sleep\0${seconds}\0`);
  const stage = await startStage({ argv: ["sh", "-c", hangs], timeout: 500 }, ["db-1"]);
  const daemon = stage.start();
  const why = () => daemon.status().remarks.find(({ container }) => container === "db-1")?.reason;
  await waitFor("the reason", () => why()?.includes("did not end within 0.5 s"), soon);
  await waitFor("its log line", () => stage.told.some(({ code }) => code === "ROLE_UNKNOWN"), soon);
  await waitFor("its end", () => sleeping().length === 0, soon);
  expect(stage.counted).toContain("failed");
  expect(stage.told.find(({ code }) => code === "FAILED")).toMatchObject({
    service: "db",
    id: "host1:db-1:80",
    message: expect.stringContaining("cannot reach the store"),
  });
  expect(stage.master()).toBeUndefined();
  writeFileSync(ready, "");
  await waitFor("the master", () => stage.master(), { within: 60_000 });
  await waitFor("no reason", () => why() === undefined, soon);
});

it("ends the command when the registrator ends", async () => {
  const { script, runs } = patientScript();
  const stage = await startStage({ argv: [script], timeout: 60_000 }, ["db-1"]);
  const daemon = stage.start();
  await waitFor("the command", () => runs().length === 1, soon);
  await daemon.stop();
  expect(listProcesses().filter(({ command }) => command.includes(script))).toEqual([]);
  expect(stage.counted).toEqual(["cancelled"]);
});
