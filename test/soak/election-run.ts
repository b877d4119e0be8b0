// Three processes contend for one lock while they are killed, stopped and cut off: what came of it.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { waitFor } from "../servers/wait.ts";
import { faultsIn, type Happening, termsIn } from "./election-history.ts";
import { createRandom } from "./random.ts";

/** What an election is held with. */
export interface ElectionOptions {
  /** The store's URL, over another server where one is given. */
  url(server?: { readonly host: string; readonly port: number }): string;
  /** What is to be cut off; absent: nobody can be. */
  readonly server?: { readonly host?: string; readonly port: number };
  /** Seconds that the lock lives without a beat. */
  readonly ttl: number;
  /** ms. */
  readonly time: number;
  readonly seed: number;
}

/** What came of it. */
export interface ElectionResult {
  /** What may not happen and did, in sentences. */
  readonly faults: readonly string[];
  /** How often somebody became master. */
  readonly terms: number;
  /** How often something was done to a contender, by what it was. */
  readonly done: Readonly<Record<string, number>>;
}

const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One contender over all its lives. */
async function startContender(who: string, { url, server, ttl }: ElectionOptions, history: Happening[]) {
  const proxy: FaultProxy | undefined = server && (await startFaultProxy({ upstream: server }));
  let run = 0;
  let child: ChildProcess;
  /** What it has published last. */
  const told = () => history.findLast((one) => one.who === who && one.kind === "told");
  const start = () => {
    run += 1;
    const last = told();
    const token = last?.kind === "told" && last.role === "master" ? [last.token] : [];
    const program = join(import.meta.dirname, "contender.ts");
    const args = ["--import", "tsx", program, url(proxy), who, String(run), String(ttl), ...token];
    child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on("line", (line) =>
      history.push(JSON.parse(line) as Happening),
    );
  };
  const kill = async () => {
    const ended = new Promise((resolve) => child.once("close", resolve));
    const at = now();
    child.kill("SIGKILL");
    await ended;
    history.push({ kind: "ended", at, who, run });
  };
  start();
  return {
    isMaster() {
      const last = told();
      return last?.kind === "told" && last.role === "master";
    },
    /** What can be done to it for `ms`. */
    troubles: {
      async killed(ms: number) {
        await kill();
        await pause(ms);
        start();
        // What is killed before it has begun contends for nothing.
        const hasTold = () => history.some((one) => one.who === who && one.run === run);
        await waitFor(`a word of ${who}`, hasTold, { within: 60_000 });
      },
      async stopped(ms: number) {
        child.kill("SIGSTOP");
        await pause(ms);
        child.kill("SIGCONT");
      },
      ...(proxy && {
        async held(ms: number) {
          proxy.hold();
          await pause(ms);
          await proxy.pass();
        },
        async dropped(ms: number) {
          proxy.drop();
          await pause(ms);
          await proxy.pass();
        },
      }),
    } as Readonly<Record<string, (ms: number) => Promise<void>>>,
    async stop() {
      await kill();
      await proxy?.stop();
    },
  };
}

/** Holds an election. In the end, when nothing is done any more, somebody has to be master, or it rejects. */
export async function runElection(options: ElectionOptions): Promise<ElectionResult> {
  const { ttl, time, seed } = options;
  const random = createRandom(seed);
  const history: Happening[] = [];
  const done: Record<string, number> = {};
  const contenders = await Promise.all(["a", "b", "c"].map((who) => startContender(who, options, history)));
  const oneMaster = () => contenders.filter((one) => one.isMaster()).length === 1;
  const within = 10_000 + 40_000 * ttl;
  try {
    await waitFor("the first master", oneMaster, { within });
    const end = now() + time;
    await Promise.all(
      contenders.map(async ({ troubles }) => {
        const own = random.fork();
        const names = Object.keys(troubles) as [string, ...string[]];
        while (now() < end) {
          await pause(own.next() * 2 * ttl * 1000);
          const name = own.pick(names);
          done[name] = (done[name] ?? 0) + 1;
          await troubles[name]?.(own.next() * 2 * ttl * 1000);
        }
      }),
    );
    await waitFor("a master in the end", oneMaster, { within });
  } finally {
    await Promise.all(contenders.map((one) => one.stop()));
  }
  const inOrder = history.sort((a, b) => a.at - b.at);
  return { faults: faultsIn(inOrder), terms: termsIn(inOrder), done };
}
