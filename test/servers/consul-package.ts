// Consul left Debian and Ubuntu after the releases named here. Its package is taken from there, unpacked into a
// cache and not installed: the machine's own sources stay as they are.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { aptWithin, noQuestions, quietly } from "./apt.ts";
import { type AptSource, sourcesOfSuite } from "./apt-source.ts";
import { exec } from "./exec.ts";
import { readable } from "./programs.ts";

/** The last release of each distribution that has the package, and the archive's component it is in. */
const lastRelease = {
  debian: { suite: "bullseye", component: "main" },
  ubuntu: { suite: "jammy", component: "universe" },
} as const;

/** Where downloads are kept between runs; `PORTOLAN_TEST_CACHE` moves it. */
const cacheDir: string =
  process.env.PORTOLAN_TEST_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "portolan-tests");

const home = join(cacheDir, "consul");

/** The path of the unpacked program; undefined when it was never fetched. */
export function cachedConsul(): string | undefined {
  return readable(join(home, "usr/bin/consul"));
}

/**
 * Downloads and unpacks Consul's package. Call it under a lock.
 * @throws an error that says what could not be had, and the way out
 */
export async function fetchConsul(): Promise<void> {
  const distribution = /^ID=(?<id>\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.groups?.id;
  const wayOut = "put a consul program on the PATH";
  if (distribution !== "debian" && distribution !== "ubuntu") {
    throw new Error(`consul: no package known for ${distribution ?? "this system"}; ${wayOut}`);
  }
  const { suite, component } = lastRelease[distribution];
  const sources = sourcesOfSuite("/etc/apt", suite, component);
  let reason = "/etc/apt names no archive";
  for (const source of sources) {
    try {
      return await fetchFrom(source);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  throw new Error(
    `consul: ${distribution} ${suite}'s package cannot be had from this machine's sources; ${wayOut}: ${reason}`,
  );
}

async function fetchFrom(source: AptSource): Promise<void> {
  const work = join(cacheDir, `consul.${process.pid}`);
  for (const folder of ["sources", "lists/partial", "archives/partial", "tree"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  writeFileSync(join(work, "sources", source.fileName), source.text);
  const apart = [
    "Dir::Etc::SourceList=/dev/null",
    `Dir::Etc::SourceParts=${work}/sources`,
    `Dir::State::Lists=${work}/lists`,
    `Dir::Cache=${work}`,
    "APT::Sandbox::User=root", // apt's own user cannot reach into a private cache
  ].flatMap((option) => ["-o", option]);
  const options = { env: noQuestions, cwd: work, within: aptWithin };
  try {
    await exec("apt-get", ["update", ...quietly, ...apart], options);
    await exec("apt-get", ["download", ...quietly, ...apart, "consul"], options);
    const archive = readdirSync(work).find((name) => name.endsWith(".deb"));
    if (archive === undefined) throw new Error("apt-get download left no file");
    await exec("dpkg-deb", ["-x", join(work, archive), join(work, "tree")]);
    rmSync(home, { recursive: true, force: true });
    renameSync(join(work, "tree"), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
