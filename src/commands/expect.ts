import { type Backend, instancesOf } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { readExpectations } from "../config/expectations.ts";
import { PortolanError } from "../errors.ts";
import type { Context } from "./context.ts";
import { type Count, countsOf, countsText, exitCodeOf } from "./counts.ts";
import { heal } from "./heal.ts";
import { settle } from "./settle.ts";

/** ms that a backend has for its answer: a Nagios plugin has ten seconds in all. */
const patience = 8_000;

/**
 * `portolan expect`: declared counts against live ones, as a Nagios plugin or a script check of Consul. With `--heal` a
 * command is run where they differ; the exit code is that of the counts.
 */
export async function runExpect(context: Context): Promise<number> {
  const { settings, env, print, say } = context;
  const [file] = settings.names;
  if (file === undefined)
    throw new PortolanError("USAGE", "expect needs a file: portolan expect counts.yaml");
  const { json, heal: heals } = settings.values;
  const command = settings.commandLine;
  if (heals !== command.length > 0) {
    const what = heals ? "--heal needs a command" : "a command is run with --heal only";
    throw new PortolanError("USAGE", `${what}: portolan expect ${file} --heal -- ./start.sh`);
  }
  const expectations = await readExpectations(file);
  const services = new Set(expectations.map(({ service }) => service));
  let backend: Backend | undefined;
  try {
    backend = await openBackend(settings.values.backend[0] ?? "", { env, onlyLooks: true });
    const counts = await countNow(
      backend,
      services,
      (instances) => countsOf(expectations, instances),
      context.stop,
    );
    const text = `${JSON.stringify(counts.map(recordOf))}\n`;
    print(json ? text : countsText(counts));
    const healed = heals ? await heal(backend, { file, counts, json: text }, context) : undefined;
    // JSON stays one document.
    if (healed !== undefined && json) say(`portolan: heal: ${healed}`);
    else if (healed !== undefined) print(`heal: ${healed}\n`);
    return exitCodeOf(counts);
  } catch (error) {
    if (!(error instanceof PortolanError) || error.code === "BACKEND_URL") throw error;
    print(`UNKNOWN - ${error.message}\n`);
    say(`portolan: ${error.code}: ${error.message}`);
    return 3;
  } finally {
    await backend?.close();
  }
}

/** What `count` makes of the services, once the backend has told of all of them. */
async function countNow(
  backend: Backend,
  services: ReadonlySet<string>,
  count: (instances: (service: string) => NonNullable<ReturnType<typeof instancesOf>>) => readonly Count[],
  stop: AbortSignal,
): Promise<readonly Count[]> {
  const observation = backend.observe({ services });
  try {
    return await settle(
      observation,
      backend.title,
      () => {
        const observed = observation.current();
        if (!observed.known) return undefined;
        const { value } = observed;
        const known = [...services].every((name) => instancesOf(value, name) !== undefined);
        return known ? count((name) => instancesOf(value, name) ?? []) : undefined;
      },
      patience,
      stop,
    );
  } finally {
    await observation.close();
  }
}

function recordOf({ expected, live, verdict }: Count) {
  const { max, ...rest } = expected;
  return { ...rest, ...(Number.isFinite(max) && { max }), live, verdict };
}
