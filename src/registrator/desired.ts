import { ownerText } from "../backends/backend.ts";
import { compare, type Instance } from "../instance.ts";
import type { AddressPolicy } from "./address/address.ts";
import { networkedBy } from "./address/networked.ts";
import { compatOutcome } from "./compat/rules.ts";
import type { Container } from "./docker/container.ts";
import type { Engine } from "./docker/engine.ts";
import { own } from "./rules/names.ts";
import { nativeOutcome } from "./rules/native.ts";
import type { Circumstances, Outcome, Reasoned, Remark } from "./rules/outcome.ts";
import { shown } from "./rules/shown.ts";
import type { RegistratorSettings } from "./settings.ts";

/** What the backend should hold for one Docker. */
export interface Desired {
  /** In id order; no id twice. */
  readonly instances: readonly Instance[];
  /** The same instances in the same order, with what else the rules say of them. */
  readonly registered: readonly Reasoned[];
  readonly remarks: readonly Remark[];
}

/**
 * What should be registered, computed from nothing but its arguments: containers oldest first, so that of
 * two that claim one id the later is refused.
 */
export function desired(
  engine: Engine,
  settings: RegistratorSettings,
  hostAddress: AddressPolicy["hostAddress"],
  otherHostAddress?: string,
): Desired {
  const outcomes = [...outcomesOf(engine, settings, hostAddress, otherHostAddress).values()];
  const registered = outcomes
    .flatMap((outcome) => outcome.registered)
    .sort((a, b) => compare(a.instance.id, b.instance.id));
  return {
    instances: registered.map(({ instance }) => instance),
    registered,
    remarks: outcomes.flatMap(({ remarks }) => remarks),
  };
}

/** The outcome for each selected container, by its id. No instance id stands in two of them. */
export function outcomesOf(
  engine: Engine,
  settings: RegistratorSettings,
  hostAddress: AddressPolicy["hostAddress"],
  otherHostAddress?: string,
): ReadonlyMap<string, Outcome> {
  const node = settings.node ?? engine.hostname;
  const owner = ownerText({ node, engine: engine.id, run: "" });
  const holders = new Map<string, Container>();
  const outcomes = new Map<string, Outcome>();
  for (const container of engine.containers.values()) {
    if (whyNotSelected(container, settings.select) !== undefined) continue;
    const networked = networkedBy(container, engine.containers);
    const now = { settings, hostAddress, otherHostAddress, node, owner, networked };
    const outcome = outcomeOf(container, now);
    outcomes.set(container.id, withoutTaken(outcome, container, holders));
  }
  return outcomes;
}

/** The outcome without the ids that other containers hold. Those that stay are this container's from now on. */
function withoutTaken(outcome: Outcome, container: Container, holders: Map<string, Container>): Outcome {
  const taken: Remark[] = [];
  const registered = outcome.registered.filter(({ instance: { id }, origins }: Reasoned) => {
    const holder = holders.get(id);
    if (holder === undefined) {
      holders.set(id, container);
      return true;
    }
    const why = `id ${shown(id)} (${origins.id}) is taken by container ${shown(holder.name)}`;
    const reason = `${why}; the later one is not registered, so give it another id or name`;
    taken.push({ kind: "mistake", code: "ID_TAKEN", container: container.name, reason });
    return false;
  });
  return taken.length === 0 ? outcome : { registered, remarks: [...outcome.remarks, ...taken] };
}

/** Why `--select` leaves a container out; undefined when it does not. */
export function whyNotSelected(
  { labels }: Container,
  select: RegistratorSettings["select"],
): string | undefined {
  if (!select) return undefined;
  const { label, value } = select;
  const option = `--select ${shown(label)}${value === undefined ? "" : `=${shown(value)}`}`;
  const found = own(labels, label);
  if (found === undefined) return `${option}: the container has no such label`;
  if (value === undefined || found === value) return undefined;
  return `${option}: the container's label is ${shown(found)}`;
}

/** The latest outcome for each container: most containers are the same as at the last call. */
const outcomes = new WeakMap<Container, Circumstances & { readonly outcome: Outcome }>();

function outcomeOf(container: Container, now: Circumstances): Outcome {
  const before = outcomes.get(container);
  const same = (Object.keys(now) as (keyof Circumstances)[]).every((key) => before?.[key] === now[key]);
  if (before && same) return before.outcome;
  const outcome = (now.settings.compat === "registrator" ? compatOutcome : nativeOutcome)(container, now);
  outcomes.set(container, { ...now, outcome });
  return outcome;
}
