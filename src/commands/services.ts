import { type Backend, instancesOf, type Observation, type Snapshot } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import type { Instance } from "../instance.ts";
import { standingNow } from "../registrator/overrides/fixed.ts";
import type { Observed, Source } from "../source.ts";
import type { Context } from "./context.ts";
import { overridesIn } from "./override-notes.ts";
import { recordsText } from "./records-text.ts";
import { servicesTable } from "./services-table.ts";
import { settle } from "./settle.ts";

/** ms that a backend has for its first answer. */
const patience = 10_000;
/** ms that it has to tell what operators have ordered, which is shown beside. */
const briefPatience = 2_000;

/** What is watched in the backend. */
interface Watched {
  readonly backend: Backend;
  readonly observation: Observation;
  /** The notes of what operators have ordered; absent where nobody is shown them. */
  readonly orders: Source<ReadonlyMap<string, string>> | undefined;
  /** The one service that is asked for. */
  readonly name: string | undefined;
}

/** `portolan services`: what the backend holds now. */
export async function runServices(context: Context): Promise<number> {
  const { settings, env, stop } = context;
  const [name] = settings.names;
  const backend = await openBackend(settings.values.backend[0] ?? "", { env, onlyLooks: true });
  const observation = backend.observe({ services: name === undefined ? "all" : new Set([name]) });
  const orders = settings.values.json ? undefined : backend.notes?.("overrides").watch();
  const watched: Watched = { backend, observation, orders, name };
  try {
    await settle(observation, backend.title, () => instances(observation, name), patience, stop);
    if (orders) await firstOrders(orders, context, backend.title);
    report(context, watched);
    if (name !== undefined && !settings.values.json && instances(observation, name)?.length === 0)
      context.say(`${backend.title} holds nothing of ${name}; \`portolan services\` shows all services`);
    if (settings.values.watch) await watch(context, watched);
    return 0;
  } finally {
    await Promise.all([observation.close(), orders?.close()]);
    await backend.close();
  }
}

/** Waits a little for the first answer: without it the records are shown all the same. */
async function firstOrders(orders: Source<unknown>, { say, stop }: Context, title: string): Promise<void> {
  try {
    await settle(orders, title, () => (orders.current().known ? true : undefined), briefPatience, stop);
  } catch (error) {
    say(`shown without overrides: ${error instanceof Error ? error.message : String(error)}`);
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

function report({ settings, print, say }: Context, { backend, observation, orders, name }: Watched): void {
  const found = instances(observation, name) ?? [];
  const ordered = orders?.current();
  const overrides = ordered?.known ? [...overridesIn(ordered.value, backend.title).values()] : [];
  print(settings.values.json ? recordsText(found) : servicesTable(found, standingNow(overrides)));
  const observed = observation.current();
  if (!observed.known) return;
  for (const [key, reason] of observed.value.invalid) say(`unreadable record ${key}: ${reason}`);
}

/** Reports again after each change, until interrupted. */
function watch(context: Context, watched: Watched): Promise<void> {
  const { backend, observation, orders, name } = watched;
  return new Promise((resolve) => {
    let last = instances(observation, name);
    let lastOrders = orders?.current();
    let problem: string | undefined;
    const look = () => {
      const next = instances(observation, name);
      const nextOrders = orders?.current();
      const news = observation.current().problem?.error.message;
      if (news !== problem && news !== undefined)
        context.say(`${backend.title}: ${news}; what stands above may be old`);
      problem = news;
      const isSame = next?.length === last?.length && next?.every((one, at) => one === last?.[at]);
      if (next === undefined || (isSame && !areOthers(nextOrders, lastOrders))) return;
      last = next;
      lastOrders = nextOrders;
      if (!context.settings.values.json) context.print("\n");
      report(context, watched);
    };
    const unsubscribes = [observation.subscribe(look), orders?.subscribe(look)];
    const end = () => {
      for (const unsubscribe of unsubscribes) unsubscribe?.();
      resolve();
    };
    if (context.stop.aborted) end();
    else context.stop.addEventListener("abort", end, { once: true });
  });
}

/** Whether something else is known now than was before. */
function areOthers<T>(now: Observed<T> | undefined, before: Observed<T> | undefined): boolean {
  return now?.known === true && (before?.known !== true || now.value !== before.value);
}
