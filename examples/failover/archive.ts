// Images of this machine's own programs: nothing is fetched.
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../test/servers/exec.ts";

/** What is in an image, beside a shell. */
export interface Parts {
  /** Absolute paths of programs and of libraries that they load by name; what they are linked to comes along. */
  readonly binaries: readonly string[];
  /** Absolute paths of folders. */
  readonly folders: readonly string[];
  /** A script that the containers run, at /start. */
  readonly script: string;
  /** Static, for the script. */
  readonly busybox: string;
}

/** Writes the archive below `dir`, everything at the place that it has here; its path. */
export async function writeArchive(dir: string, parts: Parts): Promise<string> {
  const linked = await Promise.all(parts.binaries.map(librariesOf));
  const paths = [...new Set([...parts.binaries, ...parts.folders, ...linked.flat()])];
  const archive = join(dir, "image.tar");
  await exec("tar", ["--dereference", "-cf", archive, "-C", "/", ...paths.map((path) => path.slice(1))]);

  const root = join(dir, "image");
  for (const folder of ["bin", "etc"]) mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(join(root, "tmp"));
  copyFileSync(parts.busybox, join(root, "bin/busybox"));
  symlinkSync("busybox", join(root, "bin/sh"));
  writeFileSync(join(root, "start"), parts.script, { mode: 0o755 });
  writeFileSync(
    join(root, "etc/passwd"),
    `root:x:0:0::/:/bin/sh\nstore:x:${storeUser}:${storeUser}::/tmp:/bin/sh\n`,
  );
  await exec("tar", ["--mode=a+rwX", "-rf", archive, "-C", root, "."]);
  return archive;
}

/** The user of the containers: a number, and in the image a name. */
export const storeUser = 999;

/** What the dynamic linker loads for a binary. */
export async function librariesOf(binary: string): Promise<readonly string[]> {
  const text = await exec("ldd", [binary]);
  return [...text.matchAll(/(?:=> |^\s+)(?<path>\/\S+) \(/gm)].map((match) => match.groups?.path ?? "");
}
