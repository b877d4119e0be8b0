import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { ensureInstalled } from "./install.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How a ZooKeeper is started. */
export interface ZooKeeperOptions {
  readonly port?: number;
  readonly dir?: string;
  /** Its clock's tick, in ms (default 500); sessions may last from 1 s to twenty ticks. */
  readonly tickTime?: number;
  /** Further lines of zoo.cfg. */
  readonly config?: string;
  /** Further arguments of its Java, for example system properties. */
  readonly jvm?: readonly string[];
  /** Its number in an ensemble, whose lines stand in `config`. Default: it stands alone. */
  readonly member?: number;
}

/** A standalone ZooKeeper on 127.0.0.1. */
export interface ZooKeeper extends TestServer {
  /** host:port, as clients take it. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
}

/** Starts a ZooKeeper and waits until it serves requests. */
export async function startZooKeeper(options: ZooKeeperOptions = {}): Promise<ZooKeeper> {
  const { zookeeper } = await ensureInstalled(["zookeeper"]);
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? tempDir("zookeeper");
  const dataDir = join(dir, "data");
  const config = join(dir, "zoo.cfg");
  const lines = [
    `tickTime=${options.tickTime ?? 500}`,
    `dataDir=${dataDir}`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    "admin.enableServer=false",
    "minSessionTimeout=1000",
    "maxClientCnxns=0",
    "4lw.commands.whitelist=*",
    options.config ?? "",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const { member } = options;
  if (member !== undefined) {
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(join(dataDir, "myid"), `${member}\n`);
  }
  // Netty, by which it speaks TLS, comes with it, in parts that its own list does not name in full.
  const jars = ["slf4j-simple", "netty-codec", "netty-handler"].map((name) => `/usr/share/java/${name}.jar`);
  const classpath = [zookeeper.zookeeper, ...jars].join(":");
  const args = [
    // A short life: no second compiler, one small heap, no waiting for the disk.
    ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dzookeeper.forceSync=no"],
    ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath],
    options.jvm ?? [],
    [`org.apache.zookeeper.server.${member === undefined ? "ZooKeeperServerMain" : "quorum.QuorumPeerMain"}`],
    [config],
  ].flat();
  const server = await startServer({
    name: "zookeeper",
    command: zookeeper.java,
    args,
    dir,
    dataDir,
    logFile: join(dir, "zookeeper.log"),
    ready: async () => (await fourLetterWord(port, "srvr")).includes("Mode:"),
  });
  return { ...server, address: `127.0.0.1:${port}`, host: "127.0.0.1", port };
}

/** ZooKeeper's answer to one of its four-letter commands, for example "mntr" or "cons". */
export function fourLetterWord(port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1", signal: AbortSignal.timeout(2000) });
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(word));
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}
