// Apache Curator's service discovery as Debian packages it: a reader and writer of its layout that is not ours.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ensureInstalled } from "./install.ts";
import { atExit } from "./run.ts";

/** A Java process with Curator in it. */
export interface Curator {
  /**
   * Says a line of words, and returns Curator's answer: see CuratorClient.java.
   * @throws an error with what Curator threw
   */
  ask(...words: readonly string[]): Promise<unknown>;
  /** Ends it properly, and with its session what it registered. */
  stop(): Promise<void>;
}

/** Folder of Debian's Java libraries, and those that Curator calls. */
const libraries = [
  ...["curator-framework", "curator-client", "zookeeper", "zookeeper-jute"],
  ...["jackson-annotations", "jackson-core", "jackson-databind", "guava", "slf4j-api", "slf4j-simple"],
  ...["netty-buffer", "netty-codec", "netty-common", "netty-handler", "netty-resolver", "netty-transport"],
].map((name) => `/usr/share/java/${name}.jar`);

/** Starts it at a ZooKeeper's host:port; it reads and writes below `base`. */
export async function startCurator(address: string, base: string): Promise<Curator> {
  const { curator } = await ensureInstalled(["curator"]);
  const source = join(import.meta.dirname, "CuratorClient.java");
  const args = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-XX:TieredStopAtLevel=1"];
  const classpath = [curator.discovery, curator.recipes, ...libraries].join(":");
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "--", curator.java, ...args, "-cp", classpath, source, address, base],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  const farewell = atExit(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  const waiting: { done(line: string): void; fail(error: Error): void }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.done(line));
  const lost = () => new Error(`Curator has ended: ${said}`);
  const ended = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("close", () => resolve());
  });
  void ended.then(() => {
    farewell();
    for (const { fail } of waiting.splice(0)) fail(lost());
  });
  return {
    async ask(...words) {
      const line = await new Promise<string>((done, fail) => {
        if (child.exitCode !== null) return fail(lost());
        waiting.push({ done, fail });
        child.stdin.write(`${words.join(" ")}\n`);
      });
      const { answer, error } = JSON.parse(line) as { readonly answer?: unknown; readonly error?: string };
      if (error !== undefined) throw new Error(error);
      return answer;
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
