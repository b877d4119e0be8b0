import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Instance, Role } from "../../src/instance.ts";
import { loadTemplate } from "../../src/templater/load.ts";
import { stepsBetween } from "../../src/templater/reload/haproxy/changes.ts";
import { openSession } from "../../src/templater/reload/haproxy/cli.ts";
import { applyOperations } from "../../src/templater/reload/haproxy/runtime.ts";
import { renderTemplate } from "../../src/templater/render.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { ensureInstalled } from "../servers/install.ts";
import { startNginx } from "../servers/nginx.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, worldOf } from "./golden/world.ts";

const servers: Server[] = [];
const ports = new Map<string, number>();

/** A server that says its name to whoever connects, and hangs up. */
async function startNamed(name: string): Promise<void> {
  const port = await freePort();
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(name);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  servers.push(server);
  ports.set(name, port);
}

/** What a connection to this port hears until it is closed; nothing when it is closed at once. */
function hear(port: number): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect({ host: "127.0.0.1", port });
    socket.setTimeout(5000, () => socket.destroy());
    socket.setEncoding("utf8").on("data", (text: string) => {
      heard += text;
    });
    socket.on("error", () => resolve(heard));
    socket.on("close", () => resolve(heard));
  });
}

beforeAll(async () => {
  await ensureInstalled(["haproxy", "nginx", "nginxStream"]);
  for (const name of ["a", "b", "c"]) await startNamed(name);
});

afterAll(() => {
  for (const server of servers) server.close();
});

const shipped = (file: string) => loadTemplate(join(import.meta.dirname, `../../templates/${file}.hbs`));

async function render(file: string, instances: readonly Instance[], env: Record<string, string>) {
  const rendered = renderTemplate(await shipped(file), worldOf(instances, env));
  if (rendered.status !== "rendered") throw new Error("waiting");
  return rendered.text;
}

describe("haproxy-failover.cfg", () => {
  const dir = tempDir("failover");
  const config = join(dir, "haproxy.cfg");
  let proxy: TestServer | undefined;
  let [write, read, status] = [0, 0, 0];

  const db = (name: string, role: Role) =>
    instance({
      id: name,
      service: "db",
      address: "127.0.0.1",
      port: ports.get(name) ?? 1,
      role,
      meta: { write_port: String(write), read_port: String(read) },
    });

  const renderRoles = (...instances: readonly Instance[]) =>
    render("haproxy-failover.cfg", instances, {
      PORTOLAN_FAILOVER_ADDRESS: "127.0.0.1",
      PORTOLAN_STATUS_BIND: `127.0.0.1:${status}`,
      PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
    });

  const isHeard = (port: number, name: string) =>
    waitFor(`${name} behind port ${port}`, async () => (await hear(port)) === name, { within: 20_000 });

  beforeAll(async () => {
    [write, read, status] = [await freePort(), await freePort(), await freePort()];
    writeFileSync(config, await renderRoles(db("a", "master"), db("b", "slave")));
    proxy = await startHaproxy({ config, dir });
  });

  afterAll(() => proxy?.stop());

  const apply = async (...instances: readonly Instance[]) => {
    // Reloads have tests of their own: HAProxy 2.6 loses a signal that comes too early.
    await proxy?.stop();
    writeFileSync(config, await renderRoles(...instances));
    await proxy?.start();
  };

  it("leads writers to the master and readers to the slave", async () => {
    await isHeard(write, "a");
    await isHeard(read, "b");
  });

  it("changes nothing but server lines when the role moves", async () => {
    const lines = async (...instances: readonly Instance[]) =>
      (await renderRoles(...instances)).split("\n").filter((line) => !line.startsWith("    server "));
    const before = await lines(db("a", "master"), db("b", "slave"));
    expect(await lines(db("a", "slave"), db("b", "master"))).toEqual(before);
    expect(await lines(db("a", "slave"), db("b", "slave"))).toEqual(before);
    expect(await lines(db("b", "master"))).toEqual(before);
  });

  it("is told of a role that moves while it runs, without a reload", async () => {
    const before = [db("a", "master"), db("b", "slave")];
    await apply(...before);
    await isHeard(write, "a");
    const after = await renderRoles(db("a", "slave"), db("b", "master"));
    const steps = stepsBetween(await renderRoles(...before), after);
    if ("reload" in steps) throw new Error(steps.reload);
    const session = await openSession(join(dir, "admin.sock"), AbortSignal.timeout(20_000));
    await applyOperations(session, steps.operations, () => undefined);
    session.close();
    await isHeard(write, "b");
    await isHeard(read, "a");
  });

  it("follows the role, and leads readers to the master while there is no slave", async () => {
    await apply(db("b", "master"));
    await isHeard(write, "b");
    await isHeard(read, "b");
  });

  it("lets nobody write while two say that they are the master", async () => {
    await apply(db("a", "master"), db("b", "master"), db("c", "slave"));
    await isHeard(write, "");
    await isHeard(read, "c");
  });
});

describe("nginx-stream.conf", () => {
  let proxy: TestServer | undefined;
  let [shared, idle] = [0, 0];
  const ofRole = { db: [0, 0], one: [0, 0], two: [0, 0] };

  beforeAll(async () => {
    [shared, idle] = [await freePort(), await freePort()];
    for (const pair of Object.values(ofRole)) pair.splice(0, 2, await freePort(), await freePort());
    const at = (id: string, port: number, more: Partial<Instance> = {}, meta = {}) =>
      instance({
        id,
        service: `s${port}`,
        address: "127.0.0.1",
        port: ports.get(id) ?? 1,
        ...more,
        meta: { listen_port: String(port), ...meta },
      });
    const withRole = (service: keyof typeof ofRole, id: string, role: Role) => {
      const [write, read] = ofRole[service].map(String);
      const meta = { write_port: write ?? "", read_port: read ?? "" };
      return instance({ id, service, address: "127.0.0.1", port: ports.get(id) ?? 1, role, meta });
    };
    const dir = tempDir("stream");
    mkdirSync(join(dir, "temp"));
    const instances = [
      at("a", shared),
      at("b", shared),
      at("c", shared, {}, { backup: "true" }),
      at("c", idle, { state: "starting" }),
      withRole("db", "a", "master"),
      withRole("db", "b", "slave"),
      withRole("one", "a", "master"),
      withRole("two", "a", "master"),
      withRole("two", "b", "master"),
      withRole("two", "c", "slave"),
    ];
    const text = await render("nginx-stream.conf", instances, {
      PORTOLAN_STREAM_ADDRESS: "127.0.0.1",
      PORTOLAN_NGINX_PID: "off",
      PORTOLAN_NGINX_ERROR_LOG: "stderr",
    });
    const config = join(dir, "nginx.conf");
    writeFileSync(config, text);
    proxy = await startNginx({ config, dir });
  });

  afterAll(() => proxy?.stop());

  it("shares connections out, and keeps backups for later", async () => {
    const heard = new Set<string>();
    const both = async () => {
      heard.add(await hear(shared));
      return heard.has("a") && heard.has("b");
    };
    await waitFor("both servers", both, { within: 20_000 });
    expect(heard).not.toContain("c");
  });

  it.each([
    ["writers to the master and readers to the slave", "db", "a", "b"],
    ["readers to the master while there is no slave", "one", "a", "a"],
    ["no writer while two say that they are the master", "two", "", "c"],
  ] as const)("leads %s", async (_what, service, writers, readers) => {
    const [write = 0, read = 0] = ofRole[service];
    for (let n = 0; n < 3; n++) expect([await hear(write), await hear(read)]).toEqual([writers, readers]);
  });

  it("closes connections while nobody is ready", async () => {
    expect(await hear(idle)).toBe("");
  });
});
