import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openMemory } from "../../src/backends/memory.ts";
import type { Fields, Log } from "../../src/log.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { askOnce } from "../../src/templater/reload/haproxy/cli.ts";
import type { Target } from "../../src/templater/target.ts";
import { instance } from "../commands/registry-folder.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { startNginx } from "../servers/nginx.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const never = new AbortController().signal;

/** Changes of instances, a hundred a second. */
const changes = Number(process.env.PORTOLAN_TEST_CHURN ?? 250);

it(`T6: ${changes} changes are a reload of nginx a second at most, and none of HAProxy`, async () => {
  const dir = tempDir("churn");
  const backend = await openMemory();
  const lease = backend.lease({ node: "host1", engine: "ENGINE", run: "r" }, 15);
  await lease.renew(never);
  const change = async (port: number, isThere: boolean) => {
    const { id } = instance("web", port);
    if (isThere) await lease.register(instance("web", port), never);
    else await lease.deregister({ service: "web", id }, never);
  };
  await change(1000, true);

  const [socket, master, port] = [join(dir, "a.sock"), join(dir, "m.sock"), await freePort()];
  const proxies = {
    "haproxy.cfg": `global
  stats socket ${socket} mode 660 level admin expose-fd listeners
defaults
  mode tcp
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind unix@${dir}/f.sock
backend web
  balance roundrobin
{{#each (service "web")}}
  server s{{port}} 127.0.0.1:{{port}}
{{/each}}
`,
    "nginx.conf": `error_log ${dir}/error.log notice;
events {}
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://web; } }
  upstream web {
{{#each (service "web")}}
    server 127.0.0.1:{{port}};
{{/each}}
  }
}
`,
  };
  for (const [name, text] of Object.entries(proxies)) {
    writeFileSync(join(dir, `${name}.hbs`), text);
    writeFileSync(
      join(dir, name),
      text
        .replace(/\{\{#.*\n/, "")
        .replace(/.*\{\{\/.*\n/, "")
        .replaceAll("{{port}}", "1000"),
    );
  }
  const haproxy = await startHaproxy({ config: join(dir, "haproxy.cfg"), masterSocket: master });
  onTestFinished(haproxy.stop);
  const nginx = await startNginx({ config: join(dir, "nginx.conf") });
  onTestFinished(nginx.stop);

  const target = (name: string, reload: Target["reload"]): Target => ({
    source: join(dir, `${name}.hbs`),
    destination: join(dir, name),
    reload,
    commandTimeout: 20_000,
    wait: { min: 25, max: 2_000 },
    minInterval: 1_000,
  });
  const logged: Fields[] = [];
  const at = (fields: Fields, message: string) => void logged.push({ ...fields, message });
  const log: Log = { debug: at, info: at, warn: at, error: at };
  const state = await openStateDir(join(dir, "state"));
  const targets = [
    target("haproxy.cfg", { kind: "haproxy", socket, master }),
    target("nginx.conf", { kind: "nginx", pidfile: nginx.pidFile, maxOld: 100 }),
  ];
  const daemon = startTemplater({ backend, targets, state, env: {}, node: "h", log });
  onTestFinished(async () => {
    await daemon.stop();
    await state.close();
  });
  await waitFor("readiness", () => daemon.notReady().length === 0, { within: 20_000 });

  const nginxReloads = () => readFileSync(join(dir, "error.log"), "utf8").split("reconfiguring").length - 1;
  const haproxyReloads = async () =>
    Number(/master\s+(?<count>\d+)/.exec(await askOnce(master, "show proc", never))?.groups?.count);
  const before = { nginx: nginxReloads(), haproxy: await haproxyReloads() };
  const start = performance.now();
  for (let i = 0; i < changes; i++) {
    // Twenty come and go, each in its turn.
    await change(2000 + (i % 20), Math.floor(i / 20) % 2 === 0);
    await new Promise((resolve) => setTimeout(resolve, start + (i + 1) * 10 - performance.now()));
  }
  const seconds = (performance.now() - start) / 1000;
  const during = nginxReloads() - before.nginx;
  await change(3000, true);
  const shown = (name: string) => readFileSync(join(dir, name), "utf8").includes("3000");
  await waitFor("the last change", () => shown("nginx.conf") && shown("haproxy.cfg"), { within: 20_000 });
  await waitFor("readiness", () => daemon.notReady().length === 0, { within: 20_000 });
  const states = () => askOnce(socket, "show servers state web", never);
  await waitFor("its server", async () => (await states()).includes(" s3000 "), { within: 20_000 });

  console.log(`${changes} changes in ${seconds.toFixed(1)} s: ${during} reloads of nginx, none of HAProxy`);
  expect(nginxReloads()).toBeGreaterThan(before.nginx);
  expect(during).toBeLessThanOrEqual(Math.ceil(seconds));
  expect((await haproxyReloads()) - before.haproxy).toBe(0);
  expect(logged.filter(({ err }) => err !== undefined)).toEqual([]);
}, 120_000);
