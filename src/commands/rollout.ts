import { isIn, readsService } from "../acknowledgement.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import { runCommand } from "../templater/run.ts";
import type { Context } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { composeReplacement, type Replacement } from "./rollout-commands.ts";
import { lookAt, registeredOn } from "./stop-containers.ts";
import { drainContainers, type Registered, servicesOf } from "./stop-drain.ts";
import { createProgress, type Progress } from "./stop-progress.ts";
import { listed, openRegistry, type Registry } from "./stop-registry.ts";

/** ms that a command may run. */
const patience = 24 * 3_600_000;

/** What all steps of a rollout share. */
interface Rollout {
  readonly context: Context;
  readonly registry: Registry;
  readonly progress: Progress;
}

/**
 * `portolan rollout`: replaces containers one at a time. Each is drained as `portolan stop` does; then a command
 * replaces it, and the next one waits until a new instance of its services is ready and every live templater has
 * applied that. Stops at the first failure, telling what was done and what is left.
 */
export async function runRollout(context: Context): Promise<number> {
  const { settings } = context;
  const [first] = settings.names;
  if (first === undefined)
    throw new PortolanError(
      "USAGE",
      "rollout needs a service or a container: portolan rollout web -- ./replace.sh",
    );
  const progress = createProgress(context);
  const look = await lookAt(context);
  const registry = await openRegistry(context, progress);
  try {
    const running = registeredOn(look, registry, settings.values.node);
    const all = chosen(settings.names, running, look.known);
    const replacements = all.map((one) => replacementOf(context, one, running));
    const names = all.map(({ container }) => container.name);
    progress.step(`replaces ${listed(names)}, one at a time`);
    for (const [index, one] of all.entries()) {
      try {
        const replacement = replacements[index];
        if (replacement) await replace(one, replacement, { context, registry, progress });
      } catch (error) {
        progress.waiting(undefined);
        progress.step(`replaced: ${names.slice(0, index).join(", ") || "none"}`);
        progress.step(`failed at ${names[index]}; left: ${names.slice(index + 1).join(", ") || "none"}`);
        throw error;
      }
    }
    return 0;
  } finally {
    await registry.close();
  }
}

/** The containers of these services and names, each once. A name that is both means the service. */
function chosen(
  names: readonly string[],
  running: readonly Registered[],
  known: Parameters<typeof findContainer>[1],
): readonly Registered[] {
  const found = names.flatMap((name): readonly Registered[] => {
    const ofService = running.filter(({ instances }) => instances.some(({ service }) => service === name));
    if (ofService.length > 0) return ofService;
    const { id, name: container, state } = wanted(name, known);
    const one = running.find((each) => each.container.id === id);
    if (one && one.instances.length > 0) return [one];
    const why = one ? "is not registered in the backend" : `does not run (${state})`;
    throw new PortolanError("FAILED", `${container} ${why}: there is nothing to roll out`);
  });
  return [...new Set(found)];
}

function wanted(name: string, known: Parameters<typeof findContainer>[1]) {
  try {
    return findContainer(name, known);
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    throw new PortolanError(
      error.code,
      `no container of this Docker has the service ${name}, and ${error.message}`,
    );
  }
}

function replacementOf(
  { settings, env }: Context,
  { container }: Registered,
  running: readonly Registered[],
): Replacement {
  if (settings.commandLine.length > 0) return { argvs: [settings.commandLine], env: {} };
  return composeReplacement(
    container,
    running.map((one) => one.container),
    env,
  );
}

async function replace(one: Registered, replacement: Replacement, rollout: Rollout): Promise<void> {
  const { context, registry, progress } = rollout;
  const { timeout, force, labelPrefix } = context.settings.values;
  const { container } = one;
  const lonely = withoutOthers(one, registry);
  if (lonely.length > 0 && !force)
    throw new PortolanError(
      "FAILED",
      `${container.name} is the last ready instance of ${listed(lonely)}: draining it would leave nobody who answers; start another one before, or give --force`,
    );
  const options = { timeout, force, labelPrefix, command: "rollout" } as const;
  const drained = await drainContainers(registry, [one], options, context, progress);
  const before = new Set(registry.instances().map(lifeOf));
  try {
    await runAll(one, replacement, rollout);
  } finally {
    // What came has orders of its own, or none; where the old one is still there, it goes on.
    await drained.end();
  }
  await untilReplaced(one, before, rollout);
  context.print(`${container.name}\n`);
}

/** What differs between two containers of one name. A record that holds none was gone while its container drained. */
const lifeOf = ({ container, id }: Instance) => container?.id ?? id;

/** The services of which only this container has a ready instance. */
function withoutOthers({ container, instances }: Registered, registry: Registry): readonly string[] {
  const all = registry.instances();
  const isReady = ({ state }: Instance) => state === "ready";
  const own = all.filter((each) => each.container?.id === container.id);
  return servicesOf((own.length > 0 ? own : instances).filter(isReady)).filter(
    (service) =>
      !all.some(
        (each) =>
          each.service === service &&
          isReady(each) &&
          !instances.some(({ id }) => id === each.id && each.service === service),
      ),
  );
}

async function runAll(
  { container, instances }: Registered,
  { argvs, env }: Replacement,
  { context, progress }: Rollout,
): Promise<void> {
  const { settings, stop } = context;
  const variables = {
    ...context.env,
    DOCKER_HOST: settings.values.docker,
    ...env,
    PORTOLAN_CONTAINER: container.name,
    PORTOLAN_SERVICE: servicesOf(instances).join(","),
  };
  for (const argv of argvs) {
    progress.step(`runs ${argv.join(" ")}`);
    const ended = await runCommand(
      { argv },
      { timeout: patience, env: variables, signal: stop, shown: true },
    );
    if (stop.aborted) throw new PortolanError("ABORTED", "interrupted");
    if (ended.code === 0) continue;
    const how = ended.signal === null ? `exited with code ${ended.code}` : `was ended by ${ended.signal}`;
    const why = ended.output.trim();
    throw new PortolanError(
      "FAILED",
      `${argv[0]} ${how}${why === "" ? "" : `: ${why}`}; ${container.name} is not replaced`,
    );
  }
}

/** Waits for a ready instance of each service in a container that was not there before, and until all have applied it. */
async function untilReplaced(
  { container, instances }: Registered,
  before: ReadonlySet<string>,
  { context, registry, progress }: Rollout,
): Promise<void> {
  const { timeout } = context.settings.values;
  const seconds = timeout / 1000;
  const nodes = new Set(instances.map(({ node }) => node));
  const newOnes = (service: string) =>
    registry
      .instances()
      .filter(
        (each) =>
          each.service === service &&
          each.state === "ready" &&
          nodes.has(each.node) &&
          !before.has(lifeOf(each)),
      );
  const missing = await registry.until(
    (left) => `waits for a new ready instance of ${listed(left)}`,
    () => servicesOf(instances).filter((service) => newOnes(service).length === 0),
    timeout,
  );
  if (missing.length > 0)
    throw new PortolanError(
      "FAILED",
      `no new ready instance of ${listed(missing)} within ${seconds} s after ${container.name}; does the command make another container, and is it healthy? A longer --timeout waits longer`,
    );
  const silent = await registry.until(
    (left) => `waits for ${listed(left)} to apply the new instance`,
    () => templatersWithout(registry, newOnes, servicesOf(instances)),
    timeout,
  );
  if (silent.length > 0)
    throw new PortolanError(
      "FAILED",
      `the new instance is not applied by ${listed(silent)} within ${seconds} s; its /status says why`,
    );
  progress.step(`${container.name}: replaced`);
}

/** The templaters that read one of these services and do not offer a new instance of it yet. */
function templatersWithout(
  registry: Registry,
  newOnes: (service: string) => readonly Instance[],
  services: readonly string[],
): readonly string[] {
  return registry
    .templaters()
    .filter(
      ({ note }) =>
        note === undefined ||
        services.some(
          (service) => readsService(note, service) && !newOnes(service).some((one) => isIn(note, one)),
        ),
    )
    .map(({ name }) => name);
}
