import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { loadTemplate } from "../../src/templater/load.ts";
import { renderTemplate } from "../../src/templater/render.ts";
import { type Haproxy, startHaproxy } from "../servers/haproxy.ts";
import { addHost } from "../servers/network.ts";
import { freePort, freePorts } from "../servers/ports.ts";
import { startRedis } from "../servers/redis.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, worldOf } from "./golden/world.ts";
import { createWorkspace } from "./workspace.ts";

const soon = { within: 20_000 };

/** A server that says its name to whoever connects, and stays. Its port. */
async function startNamed(name: string): Promise<number> {
  const port = await freePort();
  const server = createServer((socket) => void socket.on("error", () => socket.destroy()).write(name));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  afterAll(() => void server.close());
  return port;
}

/** A connection through the proxy, as a client keeps it. */
interface Line {
  /** What it has heard. */
  heard(): string;
  isOpen(): boolean;
  say(text: string): void;
}

function dial(port: number): Line {
  let heard = "";
  const socket = connect({ host: "127.0.0.1", port });
  socket.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
  });
  socket.on("error", () => socket.destroy());
  onTestFinished(() => void socket.destroy());
  return {
    heard: () => heard,
    isOpen: () => !socket.destroyed && !socket.readableEnded,
    say: (text) => void socket.write(text),
  };
}

/** A connection that has heard `name`; new ones are tried until one has. */
function dialled(port: number, name: string): Promise<Line> {
  return waitFor(
    `${name} behind port ${port}`,
    async () => {
      const line = dial(port);
      await waitFor("its words or its end", () => line.heard() !== "" || !line.isOpen(), soon);
      return line.heard() === name && line;
    },
    soon,
  );
}

/** HAProxy with the shipped template, changed by what changes it in earnest. */
async function startBalancer() {
  const space = await createWorkspace("haproxy.cfg");
  const dir = tempDir("demoted");
  const [write = 0, other = 0, status = 0] = await freePorts(3);
  const socket = join(dir, "admin.sock");
  const template = await loadTemplate(join(import.meta.dirname, "../../templates/haproxy-failover.cfg.hbs"));
  let haproxy: Haproxy | undefined;
  onTestFinished(async () => haproxy?.stop());
  return {
    write,
    other,
    install: async (...instances: readonly Instance[]) => {
      const rendered = renderTemplate(
        template,
        worldOf(instances, {
          PORTOLAN_FAILOVER_ADDRESS: "127.0.0.1",
          PORTOLAN_STATUS_BIND: `127.0.0.1:${status}`,
          PORTOLAN_HAPROXY_SOCKET: socket,
        }),
      );
      if (rendered.status !== "rendered") throw new Error("waiting");
      const pidfile = join(dir, "haproxy.pid");
      const done = await space.install(rendered.text, { reload: { kind: "haproxy", socket, pidfile } });
      if (haproxy === undefined) {
        haproxy = await startHaproxy({ config: space.destination, dir });
        return space.install(rendered.text, { reload: { kind: "haproxy", socket, pidfile } });
      }
      return done;
    },
  };
}

const server = (id: string, port: number, write: number, more: Partial<Instance> = {}) =>
  instance({
    ...{ id, service: "db", address: "127.0.0.1", port, role: "master" },
    ...more,
    meta: { write_port: String(write), ...more.meta },
  });

describe("haproxy-failover.cfg: connections to a master of before", () => {
  let [a, b] = [0, 0];
  beforeAll(async () => {
    [a, b] = [await startNamed("a"), await startNamed("b")];
  });

  it("are closed when the role moves, without a reload", async () => {
    const { write, install } = await startBalancer();
    await install(server("a", a, write), server("b", b, write, { role: "slave" }));
    const line = await dialled(write, "a");
    const done = await install(server("a", a, write, { role: "slave" }), server("b", b, write));
    expect(done).toMatchObject({ by: "runtime" });
    await waitFor("its end", () => !line.isOpen(), soon);
    await dialled(write, "b");
  });

  it("are closed when the role moves in a file that takes a reload", async () => {
    const { write, other, install } = await startBalancer();
    await install(server("b", b, write));
    const line = await dialled(write, "b");
    const more = server("c", a, other, { service: "other" });
    const done = await install(server("a", a, write), server("b", b, write, { role: "slave" }), more);
    expect(done).toMatchObject({ by: "reload" });
    await waitFor("its end", () => !line.isOpen(), soon);
    await dialled(write, "a");
  });

  it("are given up while they are being made", async () => {
    const { write, install } = await startBalancer();
    const host = await addHost();
    onTestFinished(host.remove);
    await host.disconnect();
    const away = { address: host.address };
    await install(server("a", a, write, away), server("b", b, write, { role: "slave" }));
    const line = dial(write);
    line.say("SET a 1\r\n");
    const done = await install(server("a", a, write, { ...away, role: "slave" }), server("b", b, write));
    expect(done).toMatchObject({ by: "runtime" });
    const told = performance.now();
    await waitFor("its end", () => !line.isOpen(), soon);
    // At once: by itself HAProxy would wait for two seconds, and try again.
    expect(performance.now() - told).toBeLessThan(1_500);
    expect(line.heard()).toBe("");
  });

  it("stay while the master drains, and end when there is another one", async () => {
    const { write, install } = await startBalancer();
    await install(server("a", a, write));
    const line = await dialled(write, "a");
    const draining = server("a", a, write, { state: "draining" });
    expect(await install(draining)).toMatchObject({ by: "runtime" });
    const late = dial(write);
    await waitFor("no way in", () => !late.isOpen(), soon);
    expect([late.heard(), line.isOpen()]).toEqual(["", true]);
    expect(await install(draining, server("b", b, write))).toMatchObject({ by: "runtime" });
    await waitFor("its end", () => !line.isOpen(), soon);
    await dialled(write, "b");
  });
});

it("HAProxy itself closes connections to a Redis that is no master any more, and lets nobody to it", async () => {
  const [balancer, redis, master] = await Promise.all([startBalancer(), startRedis(), startRedis()]);
  onTestFinished(async () => {
    await Promise.all([redis.stop(), master.stop()]);
  });
  const { write } = balancer;
  // Nobody tells it otherwise: Portolan may be away.
  await balancer.install(server("a", redis.port, write, { meta: { role_check: "redis" } }));
  const line = dial(write);
  line.say("SET a 1\r\n");
  await waitFor("its answer", () => line.heard() === "+OK\r\n", soon);
  await redis.command("REPLICAOF", "127.0.0.1", String(master.port));
  await waitFor("its end", () => !line.isOpen(), soon);
  const late = dial(write);
  late.say("PING\r\n");
  await waitFor("no way in", () => !late.isOpen(), soon);
  expect(late.heard()).toBe("");
});
