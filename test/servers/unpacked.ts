// Packages of another release of the machine's own archive, unpacked into a cache and not installed: the machine
// and its sources stay as they are.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { aptWithin, noQuestions, quietly } from "./apt.ts";
import { type AptSource, sourcesOfSuite } from "./apt-source.ts";
import { exec } from "./exec.ts";

/** A release of a distribution, and the archive's component. */
export interface Suite {
  readonly suite: string;
  readonly component: string;
}

/** What is to be had from elsewhere. */
export interface Unpacked {
  /** Names the folder in the cache, and the thing in errors. */
  readonly name: string;
  /** By distribution, the ID of /etc/os-release. */
  readonly suites: Readonly<Record<string, Suite>>;
  readonly packages: readonly string[];
  /** Half a sentence for errors. */
  readonly wayOut: string;
}

/** Where downloads are kept between runs; `PORTOLAN_TEST_CACHE` moves it. */
const cacheDir: string =
  process.env.PORTOLAN_TEST_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "portolan-tests");

/** The folder that holds the packages' files, once they were fetched. */
export function unpackedHome({ name }: Pick<Unpacked, "name">): string {
  return join(cacheDir, name);
}

/**
 * Downloads and unpacks the packages, all or none of them. Call it under a lock.
 * @throws an error that says what could not be had, and the way out
 */
export async function fetchUnpacked(what: Unpacked): Promise<void> {
  const { name, suites, wayOut } = what;
  const distribution = /^ID=(?<id>\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.groups?.id ?? "";
  const from = suites[distribution];
  if (from === undefined) {
    throw new Error(`${name}: no package known for ${distribution || "this system"}; ${wayOut}`);
  }
  let reason = "/etc/apt names no archive";
  for (const source of sourcesOfSuite("/etc/apt", from.suite, from.component)) {
    try {
      return await fetchFrom(source, what);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  throw new Error(
    `${name}: ${distribution} ${from.suite}'s package cannot be had from this machine's sources; ${wayOut}: ${reason}`,
  );
}

async function fetchFrom(source: AptSource, { name, packages }: Unpacked): Promise<void> {
  const work = join(cacheDir, `${name}.${process.pid}`);
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
    await exec("apt-get", ["download", ...quietly, ...apart, ...packages], options);
    const archives = readdirSync(work).filter((file) => file.endsWith(".deb"));
    if (archives.length < packages.length) throw new Error("apt-get download left too few files");
    for (const archive of archives) await exec("dpkg-deb", ["-x", join(work, archive), join(work, "tree")]);
    const home = unpackedHome({ name });
    rmSync(home, { recursive: true, force: true });
    renameSync(join(work, "tree"), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
