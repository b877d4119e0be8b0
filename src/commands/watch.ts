import { instancesOf } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { PortolanError } from "../errors.ts";
import { type Ended, runCommand } from "../run-command.ts";
import type { Context } from "./context.ts";
import { recordsText } from "./records-text.ts";
import { settle } from "./settle.ts";

/** ms that a command may run; a watcher is never in a hurry. */
const patience = 24 * 3_600_000;
/** ms that a backend has for its first answer, with `--once`. */
const firstAnswer = 60_000;

/**
 * `portolan watch`: runs a command once at the start and once after each change of a service, its instances as
 * JSON on standard input. One runs at a time, and a burst of changes during it leads to one more with the latest.
 * Where nothing has changed, or the backend does not answer, nothing runs.
 */
export async function runWatch(context: Context): Promise<number> {
  const { settings, env, stop } = context;
  const [service] = settings.names;
  const argv = settings.commandLine;
  if (service === undefined) throw usage("watch needs a service: portolan watch web -- ./notify.sh");
  if (argv.length === 0) throw usage(`what should be run? portolan watch ${service} -- ./notify.sh`);
  const backend = await openBackend(settings.values.backend[0] ?? "", { env, onlyLooks: true });
  const observation = backend.observe({ services: new Set([service]) });
  const found = () => {
    const observed = observation.current();
    return observed.known ? instancesOf(observed.value, service) : undefined;
  };
  const run = async (input: string): Promise<Ended> => {
    const variables = { ...env, PORTOLAN_SERVICE: service };
    const ended = await runCommand(
      { argv },
      { timeout: patience, env: variables, signal: stop, input, shown: true },
    );
    if (!stop.aborted && ended.code !== 0) context.say(`portolan: ${argv[0]} ${howItEnded(ended)}`);
    return ended;
  };
  try {
    if (settings.values.once) {
      const first = await settle(observation, backend.title, found, firstAnswer, stop);
      return (await run(recordsText(first))).code ?? 1;
    }
    let last: string | undefined;
    let problem: string | undefined;
    while (!stop.aborted) {
      // Listening begins before the look, so that no change falls between them.
      const change = nextChange(observation, stop);
      const news = observation.current().problem?.error.message;
      if (news !== undefined && news !== problem) context.say(`portolan: ${backend.title}: ${news}`);
      problem = news;
      const now = found();
      const text = now && recordsText(now);
      if (text === undefined || text === last) await change;
      else {
        last = text;
        await run(text);
      }
    }
    return 0;
  } finally {
    await observation.close();
    await backend.close();
  }
}

function usage(text: string): PortolanError {
  return new PortolanError("USAGE", text);
}

function howItEnded({ code, signal, output }: Ended): string {
  if (code === 127 || code === 126) return output;
  return signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
}

/** Resolves at the next change of the observation, or when `stop` aborts. */
function nextChange(observation: { subscribe(listener: () => void): () => void }, stop: AbortSignal) {
  return new Promise<void>((resolve) => {
    const done = () => {
      unsubscribe();
      stop.removeEventListener("abort", done);
      resolve();
    };
    const unsubscribe = observation.subscribe(done);
    stop.addEventListener("abort", done, { once: true });
    if (stop.aborted) done();
  });
}
