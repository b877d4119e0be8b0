// The image's other platform: Debian's Node.js for arm64 is its base, and an emulator runs its instructions here.
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arm64, arm64Programs, canEmulateArm64 } from "../servers/arm64-package.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { importWebImage, runWeb } from "../servers/image.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { copyBuilt } from "./checkout.ts";
import { importNode } from "./machine-image.ts";

const image = "portolan:arm64";
/** A start takes ten times as long as without the emulator. */
const soon = { within: 120_000, every: 250 };

/** A folder to build an image from in which `node` is Node.js for arm64, run by the emulator. */
async function baseOf({ root, emulator }: Arm64): Promise<string> {
  const { busybox } = (await ensureInstalled(["busybox"])).busybox;
  const beside = tempDir("beside");
  for (const name of ["bin", "tmp"]) mkdirSync(join(beside, name));
  symlinkSync("usr/lib", join(beside, "lib"));
  copyFileSync(emulator, join(beside, "emulator"));
  copyFileSync(busybox, join(beside, "busybox"));
  const script = '#!/busybox sh\nexec /emulator /usr/bin/node "$@"\n';
  writeFileSync(join(beside, "bin/node"), script, { mode: 0o755 });
  return imageOf(["-C", root, ...readdirSync(root), "-C", beside, ...readdirSync(beside)]);
}

/** A folder to build an image from that has these files, as `tar` takes them, and `/bin` as its PATH. */
async function imageOf(files: readonly string[]): Promise<string> {
  const folder = tempDir("base");
  await exec("tar", ["-cf", join(folder, "root.tar"), ...files]);
  writeFileSync(join(folder, "Dockerfile"), "FROM scratch\nADD root.tar /\nENV PATH=/bin\n");
  return folder;
}

describe.skipIf(!canEmulateArm64)("the image for arm64, on another processor", () => {
  let starting: Promise<DockerHost> | undefined;
  let host: DockerHost;
  let emulated: readonly string[];
  let build: (...args: readonly string[]) => Promise<string>;
  const checkout = tempDir("checkout");
  beforeAll(async () => {
    starting = startDockerHost({ inMemory: true });
    const [started, programs] = await Promise.all([starting, arm64Programs(), copyBuilt(checkout)]);
    host = started;
    const env = { DOCKER_HOST: host.dockerHost, DOCKER_CONFIG: tempDir("docker-config") };
    build = (...args) =>
      exec(programs.buildx, ["build", "--platform", "linux/arm64", ...args], { env, within: 240_000 });
    const base = baseOf(programs).then((folder) => build("--tag", "node-arm64", folder));
    await Promise.all([base, importNode(host), importWebImage(host)]);
    const bases = ["--build-arg", "NODE=node-arm64", "--build-arg", "BUILDER=node:22-alpine"];
    await build(...bases, "--tag", image, checkout);
    emulated = ["--volume", `${programs.emulator}:/emulator:ro`, "--read-only", "--entrypoint", "/emulator"];
  }, 600_000);
  // Also where something else has failed while it started.
  afterAll(async () => {
    const started = await starting?.catch(() => undefined);
    await started?.stop();
  });

  const run = (options: readonly string[], words: readonly string[], of = image) =>
    host.docker(["run", ...options, ...emulated, of, "/usr/local/bin/node", ...words], soon);
  const program = "/portolan/dist/cli.js";

  it("is one for arm64, and runs as that", async () => {
    expect(await host.docker(["inspect", "--format", "{{.Architecture}}", image])).toBe("arm64");
    const first = ["--import", "data:text/javascript,console.log(process.arch)"];
    const said = await run(["--rm", "--network", "none"], [...first, program, "--version"]);
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(said).toBe(`arm64\n${version}`);
  });

  // A minute of the emulator for each.
  const isWhole = process.env.PORTOLAN_TEST_ARM64 === "all";

  it.skipIf(!isWhole)("checks a configuration", async () => {
    const example = join(import.meta.dirname, "../../examples/lb-haproxy/portolan.yaml");
    const volume = ["--volume", `${example}:/etc/portolan/portolan.yaml:ro`];
    const words = [program, "check", "-c", "/etc/portolan/portolan.yaml"];
    expect(await run(["--rm", "--network", "none", ...volume], words)).toBe(
      "etc/portolan/portolan.yaml: ok\nportolan/templates/haproxy.cfg.hbs: ok",
    );
  });

  it.skipIf(!isWhole)("brings all that Node.js needs into the image of a load balancer", async () => {
    const { root } = await arm64Programs();
    const beside = tempDir("beside");
    symlinkSync("usr/lib", join(beside, "lib"));
    const proxy = imageOf(["--exclude=*node*", "-C", root, "usr/lib", "-C", beside, "lib"]);
    await build("--tag", "proxy-arm64", await proxy);
    const images = ["--build-arg", `PORTOLAN=${image}`, "--build-arg", "HAPROXY=proxy-arm64"];
    await build(...images, "--tag", "lb-arm64", join(checkout, "examples/lb-haproxy"));
    expect(await run(["--rm", "--network", "none"], [program, "--version"], "lb-arm64")).toMatch(/^\d/);
  });

  it.skipIf(!isWhole)(
    "registers a container, is healthy, and ends politely",
    async () => {
      await runWeb(host, { name: "web-1", publish: ["80"], labels: { SERVICE_NAME: "shop" } });
      const name = "registrator";
      const options = [
        ...["--detach", "--name", name, "--network", "host", "--cap-drop", "ALL"],
        ...["--security-opt", "no-new-privileges", "--group-add", String(statSync(host.socket).gid)],
        ...["--volume", `${host.socket}:/var/run/docker.sock`],
      ];
      await run(options, [program, "registrator", "--ip", "10.1.2.3", "file:///var/lib/portolan/registry"]);
      const ask = (path: string) => host.run(["curl", "--silent", "--fail", `http://127.0.0.1:7601${path}`]);
      await waitFor("it to be ready", async () => (await ask("/readyz")) !== undefined, soon).catch(
        async (error: Error) => {
          throw new Error(`${error.message}\n${await host.docker(["logs", name])}`, { cause: error });
        },
      );
      expect(JSON.parse(await ask("/status"))).toMatchObject({
        instances: [{ service: "shop", address: "10.1.2.3" }],
      });
      const healthcheck = ["exec", name, "/emulator", "/usr/local/bin/node", program, "healthcheck"];
      expect(await host.docker(healthcheck, soon)).toBe("ok");
      await host.docker(["stop", "--time", "30", name], soon);
      expect(await host.docker(["inspect", "--format", "{{.State.ExitCode}}", name])).toBe("0");
    },
    300_000,
  );
});
