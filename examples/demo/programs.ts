// The programs that the demo runs, installed when they are missing.
import { ensureInstalled } from "../../test/servers/install.ts";
import { executable, staticExecutable } from "../../test/servers/programs.ts";
import { isRoot } from "../../test/servers/run.ts";
import type { Life } from "./life.ts";

/** Absolute paths. */
export interface Programs {
  readonly haproxy: string;
  /** Static: it is all that there is in the web image. */
  readonly busybox: string;
}

/**
 * Makes sure that HAProxy and busybox are there, and Docker where the demo has to start one.
 * @throws an error that says what is missing and how to install it
 */
export async function installPrograms(life: Life, withDocker: boolean): Promise<Programs> {
  const wanted = [
    { name: "haproxy", path: executable("haproxy"), package: "haproxy" },
    { name: "busybox", path: staticExecutable("busybox"), package: "busybox-static" },
    ...(withDocker ? [{ name: "docker", path: executable("dockerd"), package: "docker.io" }] : []),
  ];
  const missing = wanted.filter(({ path }) => path === undefined);
  const names = (list: typeof wanted) => list.map(({ name }) => name).join(", ");
  if (missing.length > 0 && !isRoot()) {
    const packages = missing.map((one) => one.package).join(" ");
    throw new Error(
      `${names(missing)}: not installed, and only root can install packages.\n` +
        `On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${packages}`,
    );
  }
  const { haproxy, busybox } = await life.step(
    missing.length === 0 ? "Programs" : `Installing ${names(missing)}`,
    () => ensureInstalled(["haproxy", "busybox", ...(withDocker ? (["docker"] as const) : [])]),
    () => (missing.length === 0 ? `${names(wanted)}: installed already` : "with apt-get"),
  );
  return { haproxy: haproxy.haproxy, busybox: busybox.busybox };
}
