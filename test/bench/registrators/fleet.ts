import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { GiveUp } from "../../servers/wait.ts";
import type { Asks } from "./main.ts";

/** Registrators in a few processes, all of one store. */
export interface Fleet {
  ask<A extends keyof Asks>(what: A): Promise<Asks[A]>;
  stop(): void;
}

/** Registrators that one process runs. */
const each = 100;

/** Starts so many, which come one after the other and take turns in the URLs. `program` is the built main.ts. */
export function startFleet(
  program: string,
  urls: readonly string[],
  count: number,
  containers: number,
): Fleet {
  const processes = Array.from({ length: Math.ceil(count / each) }, (_, at) => {
    const [first, size] = [at * each, Math.min(each, count - at * each)];
    return fork(program, [first, size, containers, ...urls].map(String), { execArgv: [] });
  });
  const ask = async <A extends keyof Asks>(of: ChildProcess, what: A): Promise<Asks[A]> => {
    if (!of.connected) throw new GiveUp("a process of registrators has ended");
    const answered = once(of, "message", { signal: AbortSignal.timeout(60_000) });
    of.send(what);
    const [answer] = (await answered) as [Asks[A]];
    return answer;
  };
  const end = () => {
    for (const one of processes) one.kill("SIGKILL");
  };
  process.once("exit", end);
  return {
    async ask<A extends keyof Asks>(what: A) {
      const answers = await Promise.all(processes.map((one) => ask(one, what)));
      return answers.flat() as unknown as Asks[A];
    },
    stop() {
      process.off("exit", end);
      end();
    },
  };
}
