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
  /** Only these of the packages' files, by their paths below the root. */
  readonly files?: readonly string[];
  /** For another processor, by Debian's name of it, with all that the packages depend on: the machine has none of that. */
  readonly foreign?: string;
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

async function fetchFrom(
  source: AptSource,
  { name, packages, files = [], foreign }: Unpacked,
): Promise<void> {
  const work = join(cacheDir, `${name}.${process.pid}`);
  for (const folder of ["sources", "lists/partial", "archives/partial", "tree"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  writeFileSync(join(work, "sources", source.fileName), source.text);
  writeFileSync(join(work, "nothing-installed"), "");
  const apart = [
    "Dir::Etc::SourceList=/dev/null",
    `Dir::Etc::SourceParts=${work}/sources`,
    `Dir::State::Lists=${work}/lists`,
    `Dir::Cache=${work}`,
    "APT::Sandbox::User=root", // apt's own user cannot reach into a private cache
    ...(foreign === undefined
      ? []
      : [
          `APT::Architecture=${foreign}`,
          `APT::Architectures=${foreign}`,
          `Dir::State::Status=${work}/nothing-installed`,
        ]),
  ].flatMap((option) => ["-o", option]);
  const download =
    foreign === undefined ? ["download"] : ["install", "--download-only", "--no-install-recommends"];
  const options = { env: noQuestions, cwd: work, within: aptWithin };
  try {
    await exec("apt-get", ["update", ...quietly, ...apart], options);
    await exec("apt-get", [...download, ...quietly, ...apart, ...packages], options);
    const archives = [work, join(work, "archives")].flatMap((folder) =>
      readdirSync(folder).flatMap((file) => (file.endsWith(".deb") ? join(folder, file) : [])),
    );
    if (archives.length < packages.length) throw new Error("apt-get left too few files");
    for (const archive of archives) await unpack(archive, join(work, "tree"), files);
    const home = unpackedHome({ name });
    rmSync(home, { recursive: true, force: true });
    renameSync(join(work, "tree"), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Unpacks these files of a package, or all. */
async function unpack(archive: string, to: string, files: readonly string[]): Promise<void> {
  if (files.length === 0) await exec("dpkg-deb", ["-x", archive, to]);
  else
    await exec("sh", [
      ...["-c", 'archive=$1 to=$2; shift 2; dpkg-deb --fsys-tarfile "$archive" | tar -C "$to" -x "$@"', "sh"],
      ...[archive, to, ...files.map((file) => `./${file}`)],
    ]);
}
