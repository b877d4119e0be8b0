import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type DockerProxy, startDockerProxy } from "../servers/docker-proxy.ts";
import { tempDir } from "../servers/run.ts";
import { floorLabel, productLabel } from "./containers.ts";
import { type CountedStore, countStore } from "./counted-store.ts";
import { type Crowd, oneMore } from "./crowd.ts";
import { type Measured, startFloor, startProduct } from "./measured.ts";
import type { Subject } from "./options.ts";
import type { Programs } from "./programs.ts";
import { type Result, resultOf, type Samples } from "./result.ts";
import type { StartedStore } from "./start-store.ts";
import { openStore } from "./stores/index.ts";

const run = promisify(execFile);

const prefix = "floor-";
const starts = 3;
const changes = 3;
/** ms after which whatever a change costs has been paid. */
const quiet = 1_500;
/** ms of idleness that are watched: four beats of a lease of 15 s. */
const idleTime = 20_000;

/** Which Docker and which store a program is given. */
interface Place {
  /** Path of Docker's socket. */
  readonly socket: string;
  readonly url: string;
}

/** Many containers on one host: how long all take, what one costs, and what nothing costs. */
export async function benchScale(
  subject: Exclude<Subject, "memory">,
  store: StartedStore,
  crowd: Crowd,
  programs: Programs,
): Promise<readonly Result[]> {
  const { host, members } = crowd;
  const start = {
    product: ({ socket, url }: Place) => {
      const docker = ["--docker", `unix://${socket}`, "--ip", host.address, "--select", productLabel];
      const args = [...docker, "--node", "scale", "--on-exit", "deregister", url];
      return startProduct(programs.cli, "registrator", args);
    },
    floor: ({ socket, url }: Place) =>
      startFloor(programs.floor, "registrator", {
        store: url,
        docker: socket,
        address: host.address,
        label: floorLabel,
        prefix,
      }),
  };
  const direct: Place = { socket: host.socket, url: store.url("scale") };
  const stop = {
    product: (measured: Measured) => measured.stop(),
    floor: async (measured: Measured) => {
      await measured.stop();
      await removeFloor(direct.url, crowd);
    },
  };
  const samples = (): Samples => ({ product: [], floor: [] });

  const [startMs, rss] = [samples(), samples()];
  for (let at = 0; at < starts; at += 1) {
    for (const which of ["floor", "product"] as const) {
      const measured = await start[which](direct);
      startMs[which].push(measured.startMs);
      if (which === "product") await areAllThere(programs.cli, direct.url, members.length);
      await sleep(quiet);
      rss[which].push(measured.rss());
      await stop[which](measured);
    }
  }

  const [atOnce, cpu, idle, idleReads] = [samples(), samples(), samples(), samples()];
  const [startInspects, startCalls, endInspects, endCalls] = [samples(), samples(), samples(), samples()];
  for (const which of ["floor", "product"] as const) {
    const counted = await countStore(subject, store, "scale");
    const docker = await startDockerProxy({
      upstream: host.socket,
      listen: join(tempDir("bench-docker"), "docker.sock"),
    });
    const measured = await start[which]({ socket: docker.url.replace("unix://", ""), url: counted.url });
    atOnce[which].push(docker.inspectsAtOnce());
    await sleep(quiet);
    for (let at = 0; at < changes; at += 1) {
      for (const [change, inspects, calls] of [
        [crowd.startOne, startInspects, startCalls],
        [crowd.endOne, endInspects, endCalls],
      ] as const) {
        const cost = await costOf(change, docker, counted);
        inspects[which].push(cost.inspects);
        calls[which].push(cost.calls);
      }
    }
    forget(docker, counted);
    const before = measured.cpu();
    const begun = performance.now();
    await sleep(idleTime);
    cpu[which].push(((measured.cpu() - before) * 100) / (performance.now() - begun));
    idle[which].push(counted.calls());
    idleReads[which].push(docker.calls().length);
    await stop[which](measured);
    await Promise.all([counted.stop(), docker.stop()]);
  }

  const many = `${members.length} containers`;
  const seconds = idleTime / 1000;
  return [
    resultOf(subject, `${many}: start → all registered`, "ms", startMs),
    resultOf(subject, `${many}: memory`, "MB", rss),
    resultOf(subject, `${many}: inspects at once`, "calls", atOnce),
    resultOf(subject, `${many}: one more starts, inspects`, "calls", startInspects),
    resultOf(subject, `${many}: one more starts, store`, "calls", startCalls),
    resultOf(subject, `${many}: one ends, inspects`, "calls", endInspects),
    resultOf(subject, `${many}: one ends, store`, "calls", endCalls),
    resultOf(subject, `${many}: idle for ${seconds} s, store`, "calls", idle),
    resultOf(subject, `${many}: idle for ${seconds} s, Docker`, "calls", idleReads),
    resultOf(subject, `${many}: idle for ${seconds} s, processor`, "%", cpu),
  ];
}

const isInspect = (path: string) => /^\/containers\/[^/]+\/json$/.test(path);

function forget(docker: DockerProxy, store: CountedStore): void {
  docker.forget();
  store.forget();
}

async function costOf(
  change: () => Promise<void>,
  docker: DockerProxy,
  store: CountedStore,
): Promise<{ readonly inspects: number; readonly calls: number }> {
  forget(docker, store);
  await change();
  await sleep(quiet);
  return { inspects: docker.calls().filter(({ path }) => isInspect(path)).length, calls: store.calls() };
}

/** @throws an error when the store does not hold as many instances as it should */
async function areAllThere(cli: string, url: string, expected: number): Promise<void> {
  const { stdout } = await run(process.execPath, [cli, "services", "--json", url], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const owned = (JSON.parse(stdout) as { owner?: string }[]).filter(({ owner }) => owner !== undefined);
  if (owned.length !== expected) {
    throw new Error(
      `${url}: ready with ${owned.length} instances registered, but ${expected} containers run`,
    );
  }
}

/** The bare program leaves its records where no lease takes them. */
async function removeFloor(url: string, { members }: Crowd): Promise<void> {
  const bare = await openStore(url);
  const refs = [...members, oneMore];
  for (const { name, service } of refs)
    await bare.remove({ service: prefix + service, id: prefix + name }).catch(() => {});
  await bare.close();
}
