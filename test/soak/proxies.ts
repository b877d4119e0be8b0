// `npm run soak:proxies`: the tests of reloads on the HAProxy and nginx of Debian's next release, see README.md.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { installPackages } from "../servers/apt.ts";
import { sourcesOfSuite } from "../servers/apt-source.ts";
import { exec } from "../servers/exec.ts";
import { withLock } from "../servers/lock.ts";
import { executable } from "../servers/programs.ts";
import { needRoot, stateDir, tempDir } from "../servers/run.ts";
import { unpackedHome } from "../servers/unpacked.ts";

/** HAProxy 3.0 and nginx 1.26. Their libraries are newer than the machine's, so they get a root of their own. */
const suite = "trixie";
const programs = ["haproxy", "nginx"];
const packages = "haproxy,nginx-light";

const say = (line: string) => void process.stdout.write(`${line}\n`);

/** The root folder with the programs, installed on the first call: 240 MB. */
async function installedRoot(): Promise<string> {
  const home = unpackedHome({ name: `${suite}-proxies` });
  mkdirSync(dirname(home), { recursive: true });
  await withLock(`${home}.lock`, 600_000, async () => {
    if (existsSync(home)) return;
    if (executable("debootstrap") === undefined) await installPackages(["debootstrap"]);
    rmSync(`${home}.part`, { recursive: true, force: true });
    const args = ["--variant=minbase", `--include=${packages}`, suite, `${home}.part`, archive()];
    await exec("debootstrap", args, { within: 600_000 });
    renameSync(`${home}.part`, home);
  });
  return home;
}

/** The address of the archive that the machine itself uses. */
function archive(): string {
  for (const { text } of sourcesOfSuite("/etc/apt", suite, "main")) {
    const address = /^URIs:\s*(?<first>\S+)/m.exec(text) ?? /^deb\s+(?:\[.*?\]\s+)?(?<first>\S+)/m.exec(text);
    const first = address?.groups?.first;
    if (first?.includes("debian")) return first;
  }
  throw new Error("/etc/apt names no archive of Debian; these versions are had from there only");
}

/** A folder of programs that run the root's in their place, for the PATH. */
function wrappersOf(root: string): string {
  const dir = tempDir("proxies");
  for (const name of programs) {
    const text = `#!/bin/sh\nexec chroot '${root}' /usr/sbin/${name} "$@"\n`;
    writeFileSync(join(dir, name), text, { mode: 0o755 });
  }
  return dir;
}

async function main(): Promise<number> {
  needRoot("install and run programs of another release");
  const root = await installedRoot();
  const wrappers = wrappersOf(root);
  const env = {
    ...process.env,
    PATH: `${wrappers}:${process.env.PATH}`,
    PORTOLAN_TEST_CHANGES: process.env.PORTOLAN_TEST_CHANGES ?? "200",
  };
  say((await exec(join(wrappers, "haproxy"), ["-v"])).split("\n")[0] ?? "");
  // The tests' files are seen in the root too, in a mount namespace that ends with the tests.
  mkdirSync(join(root, stateDir), { recursive: true });
  const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  const tests = ["haproxy", "runtime", "nginx"].map((name) => `test/templater/reload.${name}.test.ts`);
  const vitest = ["npx", "vitest", "run", ...tests, "test/templater/keep.haproxy.test.ts"];
  const args = ["--mount", "sh", "-c", script, "sh", stateDir, join(root, stateDir), ...vitest];
  const child = spawn("unshare", args, { env, stdio: "inherit" });
  const [code] = await once(child, "exit");
  return typeof code === "number" ? code : 1;
}

process.exitCode = await main();
