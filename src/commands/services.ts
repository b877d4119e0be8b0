import { type Backend, instancesOf, type Observation, type Snapshot } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import type { Instance } from "../instance.ts";
import type { Context } from "./context.ts";
import { recordsText } from "./records-text.ts";
import { servicesTable } from "./services-table.ts";
import { settle } from "./settle.ts";

/** ms that a backend has for its first answer. */
const patience = 10_000;

/** `portolan services`: what the backend holds now. */
export async function runServices(context: Context): Promise<number> {
  const { settings, env, stop } = context;
  const [name] = settings.names;
  const backend = await openBackend(settings.values.backend[0] ?? "", { env });
  const observation = backend.observe({ services: name === undefined ? "all" : new Set([name]) });
  try {
    await settle(observation, backend.title, () => instances(observation, name), patience, stop);
    report(context, observation, name);
    if (settings.values.watch) await watch(context, observation, backend, name);
    return 0;
  } finally {
    await observation.close();
    await backend.close();
  }
}

/** The wanted instances, by service and id; undefined while they are unknown. */
function instances(observation: Observation, name: string | undefined): readonly Instance[] | undefined {
  const observed = observation.current();
  if (!observed.known) return undefined;
  return name === undefined ? allOf(observed.value) : instancesOf(observed.value, name);
}

function allOf({ complete, services }: Snapshot): readonly Instance[] | undefined {
  return complete ? [...services.values()].flat() : undefined;
}

function report({ settings, print, say }: Context, observation: Observation, name: string | undefined): void {
  const found = instances(observation, name) ?? [];
  print(settings.values.json ? recordsText(found) : servicesTable(found));
  const observed = observation.current();
  if (!observed.known) return;
  for (const [key, reason] of observed.value.invalid) say(`unreadable record ${key}: ${reason}`);
}

/** Reports again after each change, until interrupted. */
function watch(
  context: Context,
  observation: Observation,
  backend: Backend,
  name: string | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    let last = instances(observation, name);
    let problem: string | undefined;
    const unsubscribe = observation.subscribe(() => {
      const next = instances(observation, name);
      const news = observation.current().problem?.error.message;
      if (news !== problem && news !== undefined)
        context.say(`${backend.title}: ${news}; what stands above may be old`);
      problem = news;
      if (next === undefined || (next.length === last?.length && next.every((one, at) => one === last?.[at])))
        return;
      last = next;
      if (!context.settings.values.json) context.print("\n");
      report(context, observation, name);
    });
    const end = () => {
      unsubscribe();
      resolve();
    };
    if (context.stop.aborted) end();
    else context.stop.addEventListener("abort", end, { once: true });
  });
}
