import { ownerText } from "../backends/backend.ts";
import { compare, type Instance } from "../instance.ts";
import type { AddressPolicy } from "./address.ts";
import { compatOutcome } from "./compat.ts";
import type { Container } from "./container.ts";
import type { Engine } from "./docker.ts";
import { nativeOutcome } from "./native.ts";
import type { Circumstances, Outcome, Reasoned, Remark } from "./outcome.ts";
import type { RegistratorSettings } from "./settings.ts";

/** What the backend should hold for one Docker. */
export interface Desired {
  /** In id order; no id twice. */
  readonly instances: readonly Instance[];
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
): Desired {
  const node = settings.node ?? engine.hostname;
  const owner = ownerText({ node, engine: engine.id, run: "" });
  const byId = new Map<string, Reasoned>();
  const remarks: Remark[] = [];

  for (const container of engine.containers.values()) {
    if (!isSelected(container, settings.select)) continue;
    const networked = networkedBy(container, engine.containers);
    const outcome = outcomeOf(container, { settings, hostAddress, node, owner, networked });
    remarks.push(...outcome.remarks);
    for (const reasoned of outcome.registered) {
      const { id } = reasoned.instance;
      const holder = byId.get(id)?.instance;
      if (holder) {
        remarks.push({
          kind: "mistake",
          container: container.name,
          reason: `id ${id} is taken by container ${holder.container?.name}; the later one is not registered`,
        });
      } else {
        byId.set(id, reasoned);
      }
    }
  }
  const instances = [...byId.values()].map(({ instance }) => instance);
  return { instances: instances.sort((a, b) => compare(a.id, b.id)), remarks };
}

function isSelected({ labels }: Container, select: RegistratorSettings["select"]): boolean {
  if (!select) return true;
  const label = labels[select.label];
  return label !== undefined && (select.value === undefined || label === select.value);
}

function networkedBy(container: Container, containers: Engine["containers"]): Container | undefined {
  const target = /^container:(.+)$/.exec(container.networkMode)?.[1];
  return target === undefined ? container : containers.get(target);
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
