// Node.js for arm64, what runs it on another processor, and what builds images for it there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.ts";
import { readable } from "./programs.ts";
import { stateDir } from "./run.ts";
import { fetchUnpacked, type Unpacked, unpackedHome } from "./unpacked.ts";

/** Debian 13's Node.js is 20.19, the oldest that Portolan runs on. */
const suites = { debian: { suite: "trixie", component: "main" } };
const wayOut = "see what apt-get update says";

const node: Unpacked = {
  name: "node-arm64",
  suites,
  packages: ["nodejs"],
  foreign: "arm64",
  wayOut,
};

const qemu: Unpacked = {
  name: "qemu-arm64",
  suites,
  packages: ["qemu-user"],
  files: ["usr/bin/qemu-aarch64"],
  wayOut,
};

// Debian 12 has none, and what `docker build` does without it knows one platform only.
const buildx: Unpacked = { name: "buildx", suites, packages: ["docker-buildx"], wayOut };

/** Whether this is Debian on another processor: Ubuntu keeps arm64 in another archive, and arm64 itself needs no emulator. */
export const canEmulateArm64 =
  process.arch !== "arm64" && /^ID=debian$/m.test(readFileSync("/etc/os-release", "utf8"));

/** What another processor needs to build and run images for arm64. */
export interface Arm64 {
  /** A folder with Node.js (`usr/bin/node`) and the libraries that it needs, and with nothing else of a system. */
  readonly root: string;
  /** A program without libraries that runs programs for arm64 on this machine's processor. */
  readonly emulator: string;
  /** `docker buildx`, as a program of its own. */
  readonly buildx: string;
}

/**
 * All of it is fetched once and kept in the cache (220 MB, 40 s).
 * @throws an error that says what could not be had, and the way out
 */
export async function arm64Programs(): Promise<Arm64> {
  await fetched(node, "usr/bin/node");
  return {
    root: unpackedHome(node),
    emulator: await fetched(qemu, "usr/bin/qemu-aarch64"),
    buildx: await fetched(buildx, "usr/libexec/docker/cli-plugins/docker-buildx"),
  };
}

/** The path of one of its files. */
async function fetched(what: Unpacked, file: string): Promise<string> {
  const path = join(unpackedHome(what), file);
  if (readable(path) === undefined) {
    await withLock(join(stateDir, "install.lock"), 900_000, async () => {
      if (readable(path) === undefined) await fetchUnpacked(what);
    });
  }
  return path;
}
