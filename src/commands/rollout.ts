import { type Acknowledgement, isIn, readsService } from "../acknowledgement.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import type { Container } from "../registrator/docker/container.ts";
import { runCommand } from "../run-command.ts";
import type { Context } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { late, type Replacing, takeOutOfRotation } from "./out-of-rotation.ts";
import { createProgress, listed } from "./progress.ts";
import { lookAt, type Registered, registeredOn, servicesOf } from "./registered-containers.ts";
import { openRegistry, type Registry } from "./registry.ts";
import { composeReplacement, type Replacement } from "./rollout-commands.ts";

/** ms that a command may run. */
const patience = 24 * 3_600_000;

/** What all steps of a rollout share. */
interface Rollout extends Replacing {
  readonly context: Context;
}

/**
 * `portolan rollout`: replaces containers one at a time. Each is drained as `portolan stop` does; then a command
 * replaces it, and the next one waits until a new instance of its services is ready and every live templater has
 * applied that. Stops at the first failure, telling what was done and what is left.
 */
export async function runRollout(context: Context): Promise<number> {
  const { settings } = context;
  if (settings.names.length === 0)
    throw new PortolanError(
      "USAGE",
      "rollout needs a service or a container: portolan rollout web -- ./replace.sh",
    );
  const progress = createProgress(context);
  const look = await lookAt(context);
  const registry = await openRegistry(context, progress);
  try {
    const runningNow = () => registeredOn(look, registry.instances(), settings.values.node);
    const running = runningNow();
    const steps = chosen(settings.names, running, look.known).map(({ container }) => ({
      container,
      replacement: replacementOf(container, running, context),
    }));
    const names = steps.map(({ container }) => container.name);
    progress.step(`replaces ${listed(names)}, one at a time`);
    for (const [index, { container, replacement }] of steps.entries()) {
      if (steps.length > 1) progress.part(`${index + 1} of ${steps.length}`);
      try {
        const one = runningNow().find((each) => each.container === container);
        if (!one || one.instances.length === 0)
          throw new PortolanError(
            "FAILED",
            `${container.name} has been ended or replaced since the rollout began; look whether the command replaces one container only`,
          );
        await replace(one, replacement, { context, registry, progress });
      } catch (error) {
        progress.part("");
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
  container: Container,
  running: readonly Registered[],
  { settings, env }: Context,
): Replacement {
  if (settings.commandLine.length > 0) return { make: [settings.commandLine], end: [], env: {} };
  const all = running.map((one) => one.container);
  return composeReplacement(container, all, env);
}

async function replace(one: Registered, replacement: Replacement, rollout: Rollout): Promise<void> {
  const { context, registry, progress } = rollout;
  const { container } = one;
  const lonely = withoutOthers(one, registry);
  if (lonely.length > 0 && !context.settings.values.force)
    throw new PortolanError(
      "FAILED",
      `${container.name} is the last ready instance of ${listed(lonely)}: draining it would leave nobody who answers; start another one before, or give --force`,
    );
  const orders = await takeOutOfRotation([one], rollout);
  const before = new Set(registry.instances().map(lifeOf));
  const { make, end, env } = replacement;
  try {
    await runAll(make, env, one, rollout);
    await untilReplaced(one, before, rollout);
    await runAll(end, env, one, rollout);
  } finally {
    progress.waiting(undefined);
    // What came has orders of its own, or none; where the old one is still there, it goes on.
    await orders.takeBack();
  }
  progress.step(`${container.name}: replaced`);
  context.print(`${container.name}\n`);
}

/** What differs between two containers of one name. A record that holds none was gone while its container drained. */
const lifeOf = ({ container, id }: Instance) => container?.id ?? id;

/** The services of which only this container has a ready instance. */
function withoutOthers({ instances }: Registered, registry: Registry): readonly string[] {
  const ready = registry.instances().filter(({ state }) => state === "ready");
  const others = ready.filter((one) => !instances.includes(one));
  const own = servicesOf(ready.filter((one) => instances.includes(one)));
  return own.filter((service) => !others.some((one) => one.service === service));
}

async function runAll(
  commands: Replacement["make"],
  env: Replacement["env"],
  { container, instances }: Registered,
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
  for (const argv of commands) {
    progress.step(`runs ${argv.join(" ")}`);
    const ended = await runCommand(
      { argv },
      { timeout: patience, env: variables, signal: stop, shown: true },
    );
    if (stop.aborted) throw new PortolanError("ABORTED", "interrupted");
    if (ended.code === 0) continue;
    const how = ended.signal === null ? `exited with code ${ended.code}` : `was ended by ${ended.signal}`;
    const why = ended.output.trim();
    throw new PortolanError("FAILED", `${argv.join(" ")} ${how}${why === "" ? "" : `: ${why}`}`);
  }
}

/** Waits for a ready instance of each service in a container that was not there before, and until all have applied it. */
async function untilReplaced(
  { container, instances }: Registered,
  before: ReadonlySet<string>,
  rollout: Rollout,
): Promise<void> {
  const { context, registry } = rollout;
  const { timeout } = context.settings.values;
  const services = servicesOf(instances);
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
    () => services.filter((service) => newOnes(service).length === 0),
    timeout,
  );
  if (missing.length > 0)
    throw new PortolanError(
      "FAILED",
      `no new ready instance of ${listed(missing)} within ${timeout / 1000} s after ${container.name}; does the command make another container, and is it healthy? A longer --timeout waits longer`,
    );
  const silent = await registry.until(
    (left) => `waits for ${listed(left)} to apply the new instance`,
    () => templatersWithout(services, newOnes, registry),
    timeout,
  );
  if (silent.length > 0)
    late(`the new instance is not applied by ${listed(silent)}`, "its /status says why", rollout);
}

/** The templaters that read one of these services and do not offer a new instance of it yet. */
function templatersWithout(
  services: readonly string[],
  newOnes: (service: string) => readonly Instance[],
  registry: Registry,
): readonly string[] {
  const isMissing = (note: Acknowledgement) => (service: string) =>
    readsService(note, service) && !newOnes(service).some((one) => isIn(note, one));
  return registry
    .templaters()
    .filter(({ note }) => note === undefined || services.some(isMissing(note)))
    .map(({ name }) => name);
}
