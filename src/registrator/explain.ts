import { type Instance, isSecretCheck } from "../instance.ts";
import type { Override } from "../override.ts";
import type { AddressPolicy } from "./address/address.ts";
import { outcomesOf, whyNotSelected } from "./desired.ts";
import { crashReason } from "./docker/crashes.ts";
import type { Engine } from "./docker/engine.ts";
import { withOverrides } from "./overrides/apply.ts";
import { standingNow } from "./overrides/fixed.ts";
import type { Origins, Remark } from "./rules/outcome.ts";
import type { RegistratorSettings } from "./settings.ts";

/** A container of a Docker, whether it runs or not. */
export interface Known {
  readonly id: string;
  readonly name: string;
  /** In Docker's words: `running`, `exited` and so on. */
  readonly state: string;
}

/** Why a container is registered as it is, or is not. */
export interface Explanation {
  readonly container: Known & { readonly image?: string };
  readonly node: string;
  /** Whose rules were applied. */
  readonly rules: "portolan" | "registrator";
  /** The host's address, or null with the reason in `hostAddressUnknown`. */
  readonly hostAddress: string | null;
  readonly hostAddressUnknown?: string;
  /** Why it is not known what operators have ordered; absent where it is. */
  readonly overridesUnknown?: string;
  /** Each instance, and the rule that gave each of its fields, by the field's name. */
  readonly instances: readonly { readonly instance: Instance; readonly origins: Origins }[];
  /** What is not registered and why; without a port where it concerns all of the container. */
  readonly notRegistered: readonly Reason[];
  /** What else should be mended. */
  readonly remarks: readonly Reason[];
}

/** A reason, and the port that it concerns if it is one. */
export interface Reason {
  readonly port?: string;
  readonly reason: string;
}

/** What an explanation is made of. */
export interface Evidence {
  readonly engine: Engine;
  readonly settings: RegistratorSettings;
  readonly hostAddress: AddressPolicy["hostAddress"];
  /** The host's address of the other family, if it has one. */
  readonly otherHostAddress?: string | undefined;
  /** What operators have ordered, or why that is not known. */
  readonly ordered: readonly Override[] | { readonly unknown: string };
}

/** Of checks that may hold a secret, only that there are some. */
function withoutSecrets({ checks, ...instance }: Instance): Instance {
  if (checks === undefined) return instance;
  const shown = Object.entries(checks).map(([key, value]) => [key, isSecretCheck(key, value) ? "…" : value]);
  return { ...instance, checks: Object.fromEntries(shown) };
}

/** Explains one container that the engine may or may not hold. Computed by the very rules that register it. */
export function explain(
  known: Known,
  { engine, settings, hostAddress, otherHostAddress, ordered }: Evidence,
): Explanation {
  const container = engine.containers.get(known.id) ?? engine.crashing.get(known.id);
  const base = {
    container: { ...known, ...(container && { image: container.image }) },
    node: settings.node ?? engine.hostname,
    rules: settings.compat ?? ("portolan" as const),
    ...(typeof hostAddress === "string"
      ? { hostAddress }
      : { hostAddress: null, hostAddressUnknown: hostAddress.unknown }),
    ...("unknown" in ordered && { overridesUnknown: ordered.unknown }),
  };
  const none = (reason: string) => ({ ...base, instances: [], notRegistered: [{ reason }], remarks: [] });
  if (!container) {
    return none(engine.unread.get(known.id) ?? `it does not run (${known.state})`);
  }
  const outside = whyNotSelected(container, settings.select);
  if (outside !== undefined) return none(outside);
  if (engine.crashing.has(known.id)) return none(crashReason);
  const outcome = outcomesOf(engine, settings, hostAddress, otherHostAddress).get(known.id);
  if (!outcome) return none("nothing is known about it");
  const overridden = withOverrides(outcome.registered, "unknown" in ordered ? [] : standingNow(ordered));

  const ports = new Set(outcome.registered.map(({ port }) => port));
  const isMissing = ({ kind, port }: Remark) =>
    kind === "skipped" || (port !== undefined && !ports.has(port));
  const reasonOf = ({ port, reason }: Remark): Reason => ({ ...(port !== undefined && { port }), reason });
  return {
    ...base,
    instances: overridden.registered.map(({ instance, origins }) => ({
      instance: withoutSecrets(instance),
      origins,
    })),
    notRegistered: outcome.remarks.filter(isMissing).map(reasonOf),
    remarks: [...outcome.remarks.filter((remark) => !isMissing(remark)), ...overridden.remarks].map(reasonOf),
  };
}
