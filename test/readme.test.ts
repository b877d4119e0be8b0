import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { blocks, page, root, section } from "./markdown.ts";
import { type DockerCli, dockerCli } from "./servers/docker.ts";
import { webCommand, webImage } from "./servers/image.ts";
import { freePort } from "./servers/ports.ts";
import { tempDir } from "./servers/run.ts";

const readme = page("README.md");
const quickStart = page("docs/quick-start.md");

describe("README", () => {
  const [, consul = "", etcd = "", zookeeper = "", start = "", ask = ""] = blocks(
    section(readme, "One container behind HAProxy"),
    "sh",
  );
  const backends = {
    consul: [consul, "127.0.0.1:8500", () => `${inject("consul").host}:${inject("consul").port}`],
    etcd: [etcd, "127.0.0.1:2379", () => `${inject("etcd").host}:${inject("etcd").port}`],
    zookeeper: [zookeeper, "127.0.0.1:2181", () => inject("zookeeper").address],
  } as const;

  it.each(Object.entries(backends))(
    "puts one container behind HAProxy with %s",
    async (name, [choice, from, to]) => {
      expect(choice).toContain(`PORTOLAN_BACKEND=${name}://`);
      const docker = dockerCli(inject("docker"));
      const container = `hello-${name}`;
      const output = await runAsWritten(docker, container, [
        choice.replace(from, to()),
        start.replace("127.0.0.1:8080", `127.0.0.1:${await freePort()}`),
        ask,
      ]);
      expect(output.split("\n").at(-2), output).toBe(container);
    },
  );

  it("puts one container behind nginx with an agent", async () => {
    const [block = ""] = blocks(section(readme, "One machine, no backend, nginx"), "sh");
    const text = block.replace("127.0.0.1:8080", `127.0.0.1:${await freePort()}`);
    const output = await runAsWritten(dockerCli(inject("docker")), "hello-agent", [text]);
    expect(output.split("\n").at(-2), output).toBe("hello-agent");
  });
});

describe("the quick start", () => {
  it("puts one container behind HAProxy, and shows it on the command line", async () => {
    const [, start = "", ask = "", look = "", doctor = ""] = blocks(
      section(quickStart, "By hand, on one machine"),
      "sh",
    );
    const output = await runAsWritten(dockerCli(inject("docker")), "hello-quick", [
      start.replace("127.0.0.1:8080", `127.0.0.1:${await freePort()}`),
      ask,
      look.replace("explain hello", "explain hello-quick"),
      doctor,
    ]);
    expect(output).toMatch(/^hello-quick$/m);
    expect(output).toMatch(/ hello-quick:hello-quick:80$/m);
    expect(output).toMatch(/^0 wrong/m);
  });
});

/**
 * Runs blocks in one shell, in a folder that looks like a checkout, with a private /var/lib/portolan. Replaced
 * are only ports, the container's name and the image; what the shell started is ended with it.
 */
async function runAsWritten(
  docker: DockerCli,
  container: string,
  scripts: readonly string[],
): Promise<string> {
  const dir = tempDir("readme");
  const checkout = join(dir, "checkout");
  mkdirSync(join(checkout, "examples"), { recursive: true });
  symlinkSync(join(root, "templates"), join(checkout, "templates"));
  for (const file of ["examples/haproxy/portolan.yaml", "examples/nginx/portolan.yaml"]) {
    mkdirSync(join(checkout, dirname(file)), { recursive: true });
    writeFileSync(join(checkout, file), readFileSync(join(root, file)));
  }
  const bin = join(dir, "bin");
  mkdirSync(bin);
  writeFileSync(
    join(bin, "portolan"),
    `#!/bin/sh\nexec ${process.execPath} ${join(root, "dist/cli.js")} "$@"\n`,
    {
      mode: 0o755,
    },
  );
  const port = /PORTOLAN_HTTP_BIND=127\.0\.0\.1:(\d+)/.exec(scripts.join("\n"))?.[1] ?? "";
  const text = scripts
    .join("\n")
    .replaceAll("http://127.0.0.1:8080", `http://127.0.0.1:${port}`)
    .replace("--name hello", `--name ${container} --hostname ${container} --label readme=${container}`)
    .replace(
      "hello.test nginx:alpine",
      `hello.test ${webImage} ${webCommand()
        .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
        .join(" ")}`,
    );
  const script = `
    mkdir -p /var/lib/portolan && mount -t tmpfs none /var/lib/portolan
    end() { kill $(jobs -p) $(cat run/*.pid) 2>/dev/null; wait; }
    trap end EXIT
    ${text}`;
  try {
    return await new Promise((resolve, reject) => {
      execFile(
        "unshare",
        ["--mount", "bash", "-euc", script],
        {
          cwd: checkout,
          timeout: 30_000,
          env: {
            PATH: `${bin}:${process.env.PATH}`,
            HOME: dir,
            DOCKER_HOST: inject("docker").dockerHost,
            PORTOLAN_IP: inject("docker").address,
            PORTOLAN_NODE: container,
            PORTOLAN_SELECT: `readme=${container}`,
          },
        },
        (error, stdout, stderr) =>
          error ? reject(new Error(`${error.message}\n${stdout}\n${stderr}`)) : resolve(stdout),
      );
    });
  } finally {
    await docker.docker(["rm", "--force", container]).catch(() => {});
  }
}
