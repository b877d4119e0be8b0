import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../servers/run.ts";
import { type BenchContainer, type Containers, floorLabel, productLabel } from "./containers.ts";
import { startFloor, startProduct } from "./measured.ts";
import type { Programs } from "./programs.ts";
import { listenToReloads, type Reloads } from "./reloads.ts";
import { type Result, resultOf, type Samples } from "./result.ts";
import { sizeOf } from "./size.ts";
import { createTarget } from "./target.ts";
import { anchor } from "./wall-clock.ts";

/** ms between two events, beyond `minInterval`. */
const rest = 150;
const warmUps = 3;

/** Docker event → reload, in one process without a store; the size of that process. */
export async function benchAgent(containers: Containers, programs: Programs): Promise<readonly Result[]> {
  const { host, product: own, floor: bare } = containers;
  const subject = "memory";
  const reloads = listenToReloads();
  const target = createTarget(programs.haproxy, reloads.pidFile);
  const selected = ["--docker", host.dockerHost, "--ip", host.address, "--select", productLabel];
  const args = ["--config", target.config, ...selected, "--node", "bench", "memory:"];
  const launch = () => startProduct(programs.cli, "agent", args, target.env);
  const { text, line } = await textWith(own, launch, target.destination, reloads);
  const size = await sizeOf(subject, "agent", {
    product: launch,
    floor: () =>
      startFloor(programs.floor, "agent", {
        docker: host.socket,
        address: host.address,
        label: floorLabel,
        destination: join(tempDir("bench-floor"), "haproxy.cfg"),
        text,
        line,
        haproxy: programs.haproxy,
        pid: process.pid,
      }),
  });
  const { product, floor } = size.running;
  const started: Samples = { product: [], floor: [] };
  const ended: Samples = { product: [], floor: [] };
  for (let round = -warmUps; round < programs.n; round += 1) {
    product.pause();
    const bottom = await cycle(bare, reloads);
    product.resume();
    await reloads.quiet(rest);
    const top = await cycle(own, reloads);
    if (round < 0) continue;
    started.floor.push(bottom.started);
    ended.floor.push(bottom.ended);
    started.product.push(top.started);
    ended.product.push(top.ended);
  }
  const idle = await size.idle();
  await Promise.all([product.stop(), floor.stop()]);
  reloads.close();
  return [
    resultOf(subject, "container started → reloaded", "ms", started),
    resultOf(subject, "container ended → reloaded", "ms", ended),
    ...idle,
  ];
}

/** The product's file with the line of one container's server cut out of it. */
async function textWith(
  container: BenchContainer,
  launch: () => Promise<{ stop(): Promise<void> }>,
  destination: string,
  reloads: Reloads,
): Promise<{ readonly text: string; readonly line: string }> {
  await container.start();
  const agent = await launch();
  await agent.stop();
  await container.end();
  await container.ended();
  await reloads.quiet(rest);
  const text = readFileSync(destination, "utf8");
  const pool = text.slice(text.search(new RegExp(`^backend .*${container.service}`, "m")));
  const line = /^ {4}server .*$/m.exec(pool)?.[0];
  if (!line) throw new Error(`no server of ${container.service} in the rendered file:\n${text}`);
  return { text: text.replace(line, "@SERVER@"), line: line.replace(/:\d+ /, ":@PORT@ ") };
}

/** One start and one end of a container: ms from Docker's event to the signal. */
async function cycle(container: BenchContainer, reloads: Reloads) {
  anchor();
  const [up] = await Promise.all([reloads.next(), container.start()]);
  const start = await container.lastEvent("start");
  await reloads.quiet(rest);
  anchor();
  const [down] = await Promise.all([reloads.next(), container.end()]);
  await container.ended();
  const die = await container.lastEvent("die");
  await reloads.quiet(rest);
  return { started: up - start, ended: down - die };
}
