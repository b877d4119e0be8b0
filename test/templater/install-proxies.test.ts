import { rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Target } from "../../src/templater/target.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { get } from "../servers/http.ts";
import { ensureInstalled } from "../servers/install.ts";
import { startNginx } from "../servers/nginx.ts";
import { freePort } from "../servers/ports.ts";
import { waitFor } from "../servers/wait.ts";
import { createWorkspace } from "./workspace.ts";

const haproxyConfig = (port: number, answer: string) => `global
  mworker-max-reloads 50
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend web
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string ${answer}
`;

const nginxConfig = (port: number, answer: string, dir: string) => `events {}
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  server { listen 127.0.0.1:${port}; location / { return 200 ${answer}; } }
}
`;

const serves = (port: number, answer: string) =>
  waitFor(
    `port ${port} to serve ${answer}`,
    async () => (await get(`http://127.0.0.1:${port}/`)) === answer,
    {
      within: 20_000,
    },
  );

describe("HAProxy", () => {
  it("serves what passed its check, and goes on with the old when the new did not", async () => {
    const { haproxy } = await ensureInstalled(["haproxy"]);
    const space = await createWorkspace("haproxy.cfg");
    const port = await freePort();
    await writeFile(space.destination, haproxyConfig(port, "v1"));
    const server = await startHaproxy({ config: space.destination });
    onTestFinished(server.stop);
    await serves(port, "v1");

    const proxy: Partial<Target> = {
      check: { argv: [haproxy.haproxy, "-c", "-f", "{{src}}"] },
      reload: { kind: "signal", name: "SIGUSR2", pidfile: server.pidFile },
    };
    expect((await space.install(haproxyConfig(port, "v2"), proxy)).verdict).toBe("applied");
    await serves(port, "v2");

    const broken = haproxyConfig(port, "v3").replace("mode http", "mode nonsense");
    await expect(space.install(broken, proxy)).rejects.toMatchObject({
      code: "CHECK_FAILED",
      message: expect.stringMatching(
        /haproxy -c -f .*exited with code 1:[\s\S]*unknown proxy mode 'nonsense'/,
      ),
    });
    expect(space.live()).toBe(haproxyConfig(port, "v2"));
    await serves(port, "v2");
    expect(space.names()).toEqual(["haproxy.cfg"]);

    await server.stop();
    rmSync(server.pidFile, { force: true });
    await expect(space.install(haproxyConfig(port, "v4"), proxy)).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      message: expect.stringContaining("the program is probably not running"),
    });
    await server.start();
    expect((await space.install(haproxyConfig(port, "v4"), proxy)).verdict).toBe("reloaded");
    await serves(port, "v4");
  });

  it("is not seen to be whole when a file holds no listener", async () => {
    const { haproxy } = await ensureInstalled(["haproxy"]);
    const space = await createWorkspace("haproxy.cfg");
    const check = { argv: [haproxy.haproxy, "-c", "-f", "{{src}}"] };
    await expect(space.install("global\n", { check, reload: { kind: "none" } })).rejects.toThrow(
      "exited with code 2",
    );
  });
});

describe("nginx", () => {
  it("serves what passed its check, and goes on with the old when the new did not", async () => {
    const { nginx } = await ensureInstalled(["nginx"]);
    const space = await createWorkspace("nginx.conf");
    const port = await freePort();
    const dir = join(space.folder, "..");
    await writeFile(space.destination, nginxConfig(port, "v1", dir));
    const server = await startNginx({ config: space.destination });
    onTestFinished(server.stop);
    await serves(port, "v1");

    const proxy: Partial<Target> = {
      check: {
        argv: [
          nginx.nginx,
          "-t",
          "-q",
          "-p",
          `${dir}/`,
          "-e",
          "stderr",
          "-g",
          `pid ${dir}/test.pid;`,
          "-c",
          "{{src}}",
        ],
      },
      reload: { kind: "signal", name: "SIGHUP", pidfile: server.pidFile },
    };
    expect((await space.install(nginxConfig(port, "v2", dir), proxy)).verdict).toBe("applied");
    await serves(port, "v2");

    const broken = nginxConfig(port, "v3", dir).replace("return", "retrun");
    await expect(space.install(broken, proxy)).rejects.toMatchObject({
      code: "CHECK_FAILED",
      message: expect.stringContaining('unknown directive "retrun"'),
    });
    expect(space.live()).toBe(nginxConfig(port, "v2", dir));
    await serves(port, "v2");
  });

  it("can be reloaded by its own command, whose failure is shown", async () => {
    const { nginx } = await ensureInstalled(["nginx"]);
    const space = await createWorkspace("nginx.conf");
    const port = await freePort();
    const dir = join(space.folder, "..");
    await writeFile(space.destination, nginxConfig(port, "v1", dir));
    const server = await startNginx({ config: space.destination });
    onTestFinished(server.stop);
    const argv = [
      nginx.nginx,
      "-p",
      `${dir}/`,
      "-e",
      "stderr",
      "-c",
      space.destination,
      "-g",
      `pid ${server.pidFile};`,
      "-s",
      "reload",
    ];
    const reload = { kind: "command", command: { argv } } as const;
    expect((await space.install(nginxConfig(port, "v2", dir), { reload })).verdict).toBe("applied");
    await serves(port, "v2");
    await expect(space.install("nonsense;\n", { reload })).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      message: expect.stringContaining('unknown directive "nonsense"'),
    });
    await serves(port, "v2");
    expect((await space.install(nginxConfig(port, "v3", dir), { reload })).verdict).toBe("applied");
    await serves(port, "v3");
  });
});
