// The newest Docker of the archive (28 in 2026), for what a release's own, older one cannot show.
import { delimiter, join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { withLock } from "./lock.ts";
import { executable, readable } from "./programs.ts";
import { stateDir } from "./run.ts";
import { fetchUnpacked, type Unpacked, unpackedHome } from "./unpacked.ts";

/** Which dockerd: the installed one, or the newest that the distribution has. */
export type DockerRelease = "installed" | "newest";

/** A dockerd and the PATH on which it finds its helpers. */
export interface DockerProgram {
  readonly dockerd: string;
  readonly path: string;
  /** The major version, e.g. 20. */
  readonly major: number;
}

/** Older than this is not the newest. */
const newestIsAtLeast = 28;

// Without runc: the installed one is fit for both.
const docker: Unpacked = {
  name: "docker-newest",
  suites: { debian: { suite: "sid", component: "main" } },
  packages: ["docker.io", "containerd"],
  wayOut: `install Docker ${newestIsAtLeast} or newer`,
};

/**
 * The programs of a release; the newest is fetched once and kept in the cache (70 MB, 20 s).
 * @throws an error that says what could not be had, and the way out
 */
export async function dockerProgram(release: DockerRelease): Promise<DockerProgram> {
  const installed = (await ensureInstalled(["docker"])).docker.dockerd;
  const path = process.env.PATH ?? "";
  const major = await majorVersion(installed);
  if (release === "installed" || major >= newestIsAtLeast) return { dockerd: installed, path, major };
  const home = unpackedHome(docker);
  const find = () => readable(join(home, "usr/sbin/dockerd")) ?? readable(join(home, "usr/bin/dockerd"));
  if (find() === undefined) {
    await withLock(join(stateDir, "install.lock"), 900_000, async () => {
      if (find() === undefined) await fetchUnpacked(docker);
    });
  }
  const dockerd = find();
  if (dockerd === undefined || executable("runc") === undefined) {
    throw new Error(`${docker.name}: its packages brought no dockerd, or there is no runc; ${docker.wayOut}`);
  }
  const folders = [join(home, "usr/bin"), join(home, "usr/sbin"), path];
  return { dockerd, path: folders.join(delimiter), major: await majorVersion(dockerd) };
}

async function majorVersion(dockerd: string): Promise<number> {
  return Number(/version (\d+)/.exec(await exec(dockerd, ["--version"]))?.[1] ?? 0);
}
