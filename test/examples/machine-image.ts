// Images of this machine's own programs, under the names by which Dockerfiles and compose files ask for public ones:
// nothing is fetched.
import { copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { librariesOf } from "../../examples/failover/archive.ts";
import type { DockerCli } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";

/** Puts an image into a Docker that has `program`, with the libraries that it needs, and a shell. */
export async function importMachineImage(
  { docker }: Pick<DockerCli, "docker">,
  image: string,
  program: string,
): Promise<void> {
  const { busybox } = (await ensureInstalled(["busybox"])).busybox;
  const root = tempDir("machine-image");
  for (const folder of ["bin", "tmp", "etc", "var"]) mkdirSync(join(root, folder));
  copyFileSync(busybox, join(root, "bin/busybox"));
  for (const applet of ["sh", "cat", "kill", "sed"]) symlinkSync("busybox", join(root, "bin", applet));
  for (const file of [program, ...(await librariesOf(program))]) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
  const archive = `${root}.tar`;
  await exec("tar", ["-C", root, "-cf", archive, "."]);
  await docker(["import", "--change", "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin", archive, image]);
}

/** The image that Portolan's Dockerfile starts from: Node.js and nothing else. */
export async function importNode({ docker }: Pick<DockerCli, "docker">): Promise<void> {
  const root = tempDir("image-root");
  await exec(process.execPath, ["image/root.mjs", root]);
  const archive = `${root}.tar`;
  await exec("tar", ["-C", root, "-cf", archive, "."]);
  await docker(["import", archive, "node:22-alpine"]);
}
