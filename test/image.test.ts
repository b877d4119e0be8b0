import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockerHost, startDockerHost } from "./servers/docker.ts";
import { importWebImage, runWeb } from "./servers/image.ts";
import { tempDir } from "./servers/run.ts";
import { waitFor } from "./servers/wait.ts";

const image = "portolan-test/portolan:1";
const base = "portolan-test/node:1";
const program = ["/usr/local/bin/node", "/portolan/dist/cli.js"];
const soon = { within: 30_000 };

let host: DockerHost;
beforeAll(async () => {
  host = await startDockerHost();
  const [root, context] = [tempDir("image-root"), tempDir("image-context")];
  execFileSync(process.execPath, ["image/root.mjs", root]);
  const archive = `${root}.tar`;
  execFileSync("tar", ["-C", root, "-cf", archive, "."]);
  await host.docker(["import", archive, base]);
  copyBuilt(context);
  await host.docker(["build", "--build-arg", `NODE=${base}`, "--tag", image, context], { within: 240_000 });
}, 300_000);
afterAll(() => host?.stop());

/** A checkout in which everything is built, with the packages that the program needs to run. */
function copyBuilt(to: string): void {
  for (const name of ["Dockerfile", "image", "templates", "dist", "package.json", "portolan.schema.json"])
    cpSync(name, join(to, name), { recursive: true });
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
  };
  for (const [path, { dev, devOptional }] of Object.entries(packages)) {
    if (path === "" || dev || devOptional || !existsSync(path)) continue;
    mkdirSync(join(to, path), { recursive: true });
    cpSync(path, join(to, path), { recursive: true });
  }
}

it("holds Node.js, the program and nothing else, and says what it is", async () => {
  const [inspected] = JSON.parse(await host.docker(["inspect", image])) as [
    { readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> } },
  ];
  expect(inspected.Config.User).toBe("65532:65532");
  expect(inspected.Config.Labels["org.opencontainers.image.title"]).toBe("Portolan");
  const version = await host.docker(["run", "--rm", "--read-only", "--network", "none", image, "--version"]);
  expect(version).toBe((JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version);
  await expect(host.docker(["run", "--rm", "--entrypoint", "/bin/sh", image])).rejects.toThrow(
    /no such file/,
  );
});

it("registers containers as nobody in particular, on a read-only root, and is found healthy", async () => {
  await importWebImage(host);
  const socket = host.dockerHost.replace("unix://", "");
  const name = "portolan";
  await host.docker([
    ...["run", "--detach", "--name", name, "--read-only", "--network", "host"],
    ...["--volume", `${socket}:/var/run/docker.sock`, "--group-add", String(statSync(socket).gid)],
    ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...[image, "registrator", "--ip", "10.1.2.3", "file:///var/lib/portolan/registry"],
  ]);
  const logs = () => host.docker(["logs", name]).catch(String);
  const web = await runWeb(host, { name: "web", publish: ["80"], labels: { SERVICE_NAME: "shop" } });
  const services = async () => {
    const words = ["services", "--json", "--backend", "file:///var/lib/portolan/registry"];
    const text = await host.docker(["exec", name, ...program, ...words]).catch(() => "[]");
    return JSON.parse(text) as readonly { readonly service: string; readonly address: string }[];
  };
  await waitFor("the record", async () => (await services()).length === 1, soon).catch(
    async (error: Error) => {
      throw new Error(`${error.message}\n${await logs()}`, { cause: error });
    },
  );
  expect(await services()).toMatchObject([{ service: "shop", address: "10.1.2.3" }]);
  const health = () => host.docker(["inspect", "--format", "{{.State.Health.Status}}", name]);
  await waitFor("health", async () => (await health()) === "healthy", { within: 60_000 });
  await host.docker(["stop", "--time", "10", name]);
  expect(await host.docker(["inspect", "--format", "{{.State.ExitCode}}", name])).toBe("0");
  await web.remove();
});
