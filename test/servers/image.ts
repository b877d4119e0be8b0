// Containers that serve a page, from an image that needs no registry: a static busybox and nothing else.
import { copyFileSync, existsSync, mkdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { DockerCli } from "./docker-cli.ts";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { tempDir } from "./run.ts";

/** The image that `importWebImage` gives to a Docker. */
export const webImage = "portolan-test/web:1";

/** Label of every container that `runWeb` makes. */
export const webLabel = "portolan.test";

/** Puts the image into a Docker (0.2 s); again: nothing. */
export async function importWebImage({ docker }: Pick<DockerCli, "docker">): Promise<void> {
  if ((await docker(["images", "--quiet", webImage])) !== "") return;
  archive ??= makeArchive();
  const changes = ["ENV PATH=/bin", `CMD ${JSON.stringify(webCommand())}`].flatMap((line) => [
    "--change",
    line,
  ]);
  await docker(["import", ...changes, await archive, webImage]);
}

let archive: Promise<string> | undefined;

async function makeArchive(): Promise<string> {
  const { busybox } = await ensureInstalled(["busybox"]);
  const dir = tempDir("image");
  for (const folder of ["bin", "tmp", "etc", "www"])
    mkdirSync(join(dir, "root", folder), { recursive: true });
  const bin = join(dir, "root/bin");
  copyFileSync(busybox.busybox, join(bin, "busybox"));
  for (const applet of (await exec(busybox.busybox, ["--list"])).trim().split("\n")) {
    if (!existsSync(join(bin, applet))) symlinkSync("busybox", join(bin, applet));
  }
  const file = join(dir, "web.tar");
  await exec("tar", ["-C", join(dir, "root"), "-cf", `${file}.part`, "."]);
  renameSync(`${file}.part`, file);
  return file;
}

/** What a web container listens on, and how it takes its stop signal. */
export interface WebCommand {
  /** Container ports (default 80). */
  readonly ports?: readonly number[];
  /** Seconds that it still serves after its stop signal (default 0: it ends at once). */
  readonly lingers?: number;
}

/**
 * A container command that answers its host name on /, on each port. The shell is process 1 and must trap the
 * signal: the kernel keeps from process 1 every signal that it does not handle.
 */
export function webCommand({ ports = [80], lingers = 0 }: WebCommand = {}): readonly string[] {
  const servers = ports.map((port) => `httpd -f -p ${port} -h /www &`).join(" ");
  return ["sh", "-c", `hostname > /www/index.html; trap 'sleep ${lingers}; exit 0' TERM; ${servers} wait`];
}

/** How a web container is run. */
export interface WebOptions extends WebCommand {
  /** Its name and host name, hence its answer; Docker makes one up when there is none. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Values for --publish: "80" gets a free host port, "8080:80" or "10.98.0.1:8080:80/tcp" that one. */
  readonly publish?: readonly string[];
  readonly network?: string;
  /** Runs this instead of the web servers. */
  readonly command?: readonly string[];
  /** More options for `docker run`, for example health checks. */
  readonly args?: readonly string[];
}

/** A container that was started. */
export interface WebContainer {
  /** Its full id. */
  readonly id: string;
  readonly name: string;
  /**
   * The host's port for a container port (protocol "tcp" unless said otherwise).
   * @throws when the port is not published, or the container does not run
   */
  hostPort(containerPort: number, protocol?: "tcp" | "udp"): Promise<number>;
  /** Its address in its first network; "" when it has none. */
  address(): Promise<string>;
  /** `docker stop`: the stop signal, and SIGKILL after `grace` seconds (default 10). */
  stop(grace?: number): Promise<void>;
  start(): Promise<void>;
  /** Ends it with SIGKILL, as a crash does. */
  kill(): Promise<void>;
  /** Removes it, running or not. */
  remove(): Promise<void>;
}

/** Runs a container of the web image, which must have been imported, and returns when Docker has started it. */
export async function runWeb(
  host: Pick<DockerCli, "docker">,
  options: WebOptions = {},
): Promise<WebContainer> {
  const { docker } = host;
  const { name, network, labels = {}, env = {}, publish = [], command = webCommand(options) } = options;
  const pairs = (flag: string, values: Readonly<Record<string, string>>): readonly string[] =>
    Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
  const id = await docker([
    ...["run", "--detach", "--label", webLabel],
    ...(name === undefined ? [] : ["--name", name, "--hostname", name]),
    ...(network === undefined ? [] : ["--network", network]),
    ...pairs("--label", labels),
    ...pairs("--env", env),
    ...publish.flatMap((value) => ["--publish", value]),
    ...(options.args ?? []),
    webImage,
    ...command,
  ]);
  const inspect = (format: string): Promise<string> => docker(["inspect", "--format", format, id]);
  return {
    id,
    name: name ?? (await inspect("{{.Name}}")).slice(1),
    hostPort: async (containerPort, protocol = "tcp") => {
      const port = `${containerPort}/${protocol}`;
      const text = await inspect(`{{range index .NetworkSettings.Ports "${port}"}}{{.HostPort}} {{end}}`);
      const [first = ""] = text.split(" ");
      if (first === "")
        throw new Error(`container ${id.slice(0, 12)}: port ${port} is not published; see publish`);
      return Number(first);
    },
    address: async () =>
      (await inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}")).split(" ")[0] ?? "",
    stop: async (grace = 10) => void (await docker(["stop", "--time", String(grace), id])),
    start: async () => void (await docker(["start", id])),
    kill: async () => void (await docker(["kill", id])),
    remove: async () => void (await docker(["rm", "--force", "--volumes", id])),
  };
}

/** Removes every container that `runWeb` made on this Docker. */
export async function removeWebContainers({ docker }: Pick<DockerCli, "docker">): Promise<void> {
  const ids = await docker(["ps", "--all", "--quiet", "--filter", `label=${webLabel}`]);
  if (ids !== "") await docker(["rm", "--force", "--volumes", ...ids.split("\n")]);
}
