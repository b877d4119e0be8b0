// The real servers that tests and demos run, installed from the machine's own Debian or Ubuntu sources.
import { join } from "node:path";
import { installPackages } from "./apt.ts";
import { cachedConsul, fetchConsul } from "./consul-package.ts";
import { withLock } from "./lock.ts";
import { executable, newestOf, readable, staticExecutable } from "./programs.ts";
import { isRoot, stateDir } from "./run.ts";

/** How a program (or a file) is found, and the packages that may bring it: names differ between releases. */
interface Need {
  readonly find: () => string | undefined;
  readonly packages: readonly string[];
}

const program = (name: string, ...packages: readonly string[]): Need => ({
  find: () => executable(name),
  packages,
});

const docker = {
  docker: program("docker", "docker.io", "docker-cli"),
  dockerd: program("dockerd", "docker.io"),
  containerd: program("containerd", "containerd"),
  iptables: program("iptables", "iptables"),
  ip: program("ip", "iproute2"),
};

const needs = {
  // Where the kernel enforces AppArmor, Docker runs nothing without its parser, which is only recommended.
  docker: readable("/sys/kernel/security/apparmor/profiles")
    ? { ...docker, apparmor: program("apparmor_parser", "apparmor") }
    : docker,
  // A plug-in of docker, or in Debian 12 a program of its own.
  compose: {
    compose: {
      find: () => readable("/usr/libexec/docker/cli-plugins/docker-compose") ?? executable("docker-compose"),
      packages: ["docker-compose-v2", "docker-compose"],
    },
  },
  haproxy: { haproxy: program("haproxy", "haproxy") },
  nginx: { nginx: program("nginx", "nginx-light", "nginx") },
  nginxStream: {
    stream: {
      find: () => readable("/usr/lib/nginx/modules/ngx_stream_module.so"),
      packages: ["libnginx-mod-stream"],
    },
  },
  // Static, because it is all there is in the image made of it.
  busybox: { busybox: { find: () => staticExecutable("busybox"), packages: ["busybox-static"] } },
  etcd: { etcd: program("etcd", "etcd-server", "etcd") },
  etcdctl: { etcdctl: program("etcdctl", "etcd-client") },
  openssl: { openssl: program("openssl", "openssl") },
  consul: { consul: { find: () => executable("consul") ?? cachedConsul(), packages: [] } },
  zookeeper: {
    java: program("java", "default-jre-headless"),
    // Only the library: the package "zookeeper" adds start scripts, and a whole desktop Java with them.
    zookeeper: { find: () => readable("/usr/share/java/zookeeper.jar"), packages: ["libzookeeper-java"] },
  },
  redis: {
    server: program("redis-server", "redis-server"),
    cli: program("redis-cli", "redis-tools"),
  },
  // The folder of its programs, of the newest release that is there.
  postgres: { home: { find: () => newestOf("/usr/lib/postgresql", "bin/initdb"), packages: ["postgresql"] } },
  mariadb: {
    server: program("mariadbd", "mariadb-server"),
    client: program("mariadb", "mariadb-client"),
    create: program("mariadb-install-db", "mariadb-server"),
  },
  // They complete command lines with the scripts that `portolan completion` writes.
  shells: { bash: program("bash", "bash"), zsh: program("zsh", "zsh"), fish: program("fish", "fish") },
  prometheus: {
    prometheus: program("prometheus", "prometheus"),
    promtool: program("promtool", "prometheus"),
  },
  chromium: { chromium: program("chromium", "chromium", "chromium-browser") },
  // It judges units; nothing is started by it.
  systemd: { analyze: program("systemd-analyze", "systemd") },
  curator: {
    // It runs a Java source file, which needs the compiler.
    java: { find: () => executable("javac") && executable("java"), packages: ["default-jdk-headless"] },
    discovery: {
      find: () => readable("/usr/share/java/curator-x-discovery.jar"),
      packages: ["libcurator-discovery-java"],
    },
    recipes: {
      find: () => readable("/usr/share/java/curator-recipes.jar"),
      packages: ["libcurator-recipes-java"],
    },
  },
} satisfies Readonly<Record<string, Readonly<Record<string, Need>>>>;

/** What `ensureInstalled` can be asked for; "docker" brings the daemon, the command line and what they call. */
export type Server = keyof typeof needs;

/** The absolute path of each program that the servers `S` need; ZooKeeper's is its jar. */
export type Programs<S extends Server> = {
  readonly [K in S]: Readonly<Record<keyof (typeof needs)[K], string>>;
};

/** Everything, as the whole test run needs it. */
export const allServers = Object.keys(needs) as readonly Server[];

/**
 * Makes sure that the servers are there, installs what is missing (Debian or Ubuntu, as root), and tells where
 * their programs are. Quick when nothing is missing; two processes may call it at once.
 * @throws an error that says in a sentence what is missing and what to do
 */
export async function ensureInstalled<S extends Server>(servers: readonly S[]): Promise<Programs<S>> {
  if (missing(servers).length > 0) {
    refuseWhereImpossible(
      missing(servers)
        .map(([name]) => name)
        .join(", "),
    );
    await withLock(join(stateDir, "install.lock"), 900_000, () => install(servers));
  }
  return Object.fromEntries(
    servers.map((server) => [
      server,
      Object.fromEntries(entries(server).map(([name, need]) => [name, need.find()])),
    ]),
  ) as unknown as Programs<S>;
}

const entries = (server: Server): readonly (readonly [string, Need])[] => Object.entries<Need>(needs[server]);

const missing = (servers: readonly Server[]): readonly (readonly [string, Need])[] =>
  servers.flatMap(entries).filter(([, need]) => need.find() === undefined);

function refuseWhereImpossible(names: string): void {
  if (!isRoot()) {
    throw new Error(
      `${names}: not installed, and only root can install packages; run this as root or install them`,
    );
  }
  if (executable("apt-get") === undefined) {
    throw new Error(
      `${names}: not installed, and there is no apt-get here; install them and put them on the PATH`,
    );
  }
}

async function install(servers: readonly Server[]): Promise<void> {
  const absent = missing(servers);
  if (absent.length === 0) return; // another process was faster
  const most = Math.max(...absent.map(([, need]) => need.packages.length));
  for (let attempt = 0; attempt < most; attempt++) {
    const wanted = missing(servers).flatMap(([, need]) => need.packages[attempt] ?? []);
    if (wanted.length > 0) await installPackages([...new Set(wanted)]);
  }
  if (missing(servers).some(([name]) => name === "consul")) await fetchConsul();

  const [stillAbsent] = missing(servers);
  if (stillAbsent === undefined) return;
  const [name, need] = stillAbsent;
  throw new Error(
    `${name}: not installed: ${need.packages.join(" or ")} from this machine's apt sources did not bring it; ` +
      `see what "apt-get install ${need.packages[0] ?? name}" says, or put ${name} on the PATH`,
  );
}
