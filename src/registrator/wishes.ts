import { hostname } from "node:os";
import type { Owner } from "../backends/backend.ts";
import { monotonic } from "../clock.ts";
import type { Instance } from "../instance.ts";
import { hostAddress, isElsewhere, otherHostAddress } from "./address/host-address.ts";
import { type HostNetwork, readHostNetwork } from "./address/host-network.ts";
import { missingOnTheWay } from "./address/networked.ts";
import { isUpstreamId } from "./adopt.ts";
import { desired } from "./desired.ts";
import type { Container } from "./docker/container.ts";
import { crashReason } from "./docker/crashes.ts";
import type { DockerSource, Engine } from "./docker/engine.ts";
import type { FoundRoles } from "./found-roles.ts";
import type { Wanted } from "./overrides/watch.ts";
import type { Fate } from "./plan.ts";
import type { Wish } from "./reconcile.ts";
import type { Reporter } from "./report.ts";
import { drainOfAll } from "./rules/drain.ts";
import type { Reasoned, Remark } from "./rules/outcome.ts";
import type { RegistratorSettings } from "./settings.ts";

/** What the backends should hold, as Docker, the host and the settings say. */
export interface Wishes {
  /** The very same as before while nothing changed; undefined as long as nobody can tell. */
  current(): Wish | undefined;
  /**
   * Whether a record that names no owner is one that gliderlabs/registrator left for this host: it has an id as
   * that makes it, or, since a container may give it any id, one that is wished for here.
   */
  isUpstream(id: string): boolean;
  /** Tells Docker's observer of records from an earlier time. */
  recall(records: readonly Instance[]): void;
  /** From now on everything drains. The answer is how long that should be seen, in ms. */
  drain(): number;
}

/** What wishes are made from. */
export interface WishesOptions {
  readonly source: DockerSource;
  /** Docker's URL. */
  readonly docker: string;
  readonly settings: RegistratorSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly run: string;
  readonly report: Reporter;
  readonly roles: FoundRoles;
  /** What operators want; nothing when absent. */
  readonly overrides?: Wanted;
}

/**
 * ms for which this host's network is taken as it was read: several ask at once, and a host has an interface for each of
 * its containers.
 */
const fresh = 250;

/** Computes the wish once per change of Docker or of the host's address. */
export function createWishes(options: WishesOptions): Wishes {
  const { source, docker, settings, env, run, report, roles, overrides } = options;
  let last: { engine: Engine; address: string; wish: Wish; readonly ids: ReadonlySet<string> } | undefined;
  /** The latest address of this host that was known, and the one of the other family beside it. */
  let known: { readonly address: string; readonly other: string | undefined } | undefined;
  let draining = false;
  let network: { readonly at: number; readonly value: HostNetwork } | undefined;

  const networkNow = () => {
    const at = monotonic();
    if (network === undefined || at - network.at > fresh) network = { at, value: readHostNetwork() };
    return network.value;
  };

  const current = (): Wish | undefined => {
    const observed = source.current();
    if (!observed.known || overrides?.isReady() === false) return undefined;
    const engine = observed.value;
    const host = { env, engine, docker, network: networkNow };
    const address = hostAddress(settings.ip, host);
    // Nobody needs it where containers are registered at their own; one that asks for it is told so by itself.
    if (!settings.internal) report.hostAddress(address);
    // An address that is not known at present is no reason to remove what is registered under the one before.
    if (typeof address === "string") {
      const before = known?.address === address ? known.other : undefined;
      known = { address, other: otherHostAddress(settings.ip, address, host) ?? before };
    }
    const usable = known?.address ?? address;
    if (typeof usable !== "string" && !settings.internal) return undefined;
    const key = JSON.stringify([usable, known?.other, roles.revision(), overrides?.revision()]);
    if (last?.engine === engine && last.address === key) return last.wish;
    const { registered, remarks } = desired(engine, settings, usable, known?.other);
    const wanted = overrides?.apply(registered) ?? { registered, remarks: [] };
    // Drained before roles are asked for: what drains is no candidate.
    const now = draining ? wanted.registered.map(drained) : wanted.registered;
    const wished = roles.publish(now, engine.containers);
    report.remarks([...remarks, ...wanted.remarks, ...crashRemarks(engine), ...roles.remarks()]);
    const owner: Owner = { node: settings.node ?? engine.hostname, engine: engine.id, run };
    const wish = { owner, instances: wished, fate: (id: string | undefined) => fateOf(engine, id) };
    last = { engine, address: key, wish, ids: new Set(wished.map(({ id }) => id)) };
    return wish;
  };

  return {
    current,
    isUpstream(id) {
      const observed = source.current();
      if (!observed.known) return false;
      const { value: engine } = observed;
      if (isUpstreamId(id, [engine.hostname, settings.node]) || last?.ids.has(id)) return true;
      // Upstream takes the host name of its own process: that of Docker's host, or what somebody made it be.
      return isUpstreamId(id, [hostname()]) && !isElsewhere(docker, engine);
    },
    recall(records) {
      roles.recall(records);
      const observed = source.current();
      const running = observed.known ? observed.value.containers : new Map();
      const ofRunning = records.filter(({ container }) => container && running.has(container.id));
      // A run that was killed while it drained everything at its exit says nothing of single containers.
      const byExit = settings.onExit === "drain" && ofRunning.every(({ state }) => state === "draining");
      source.recall(
        records.flatMap((record) => {
          const { container, state } = record;
          // What somebody has drained is to be ready again as soon as that is over.
          const bySignal = state === "draining" && !byExit && !overrides?.explainsDrain(record);
          return container ? { id: container.id, draining: bySignal } : [];
        }),
      );
    },
    drain() {
      const wish = current();
      draining = true;
      const engine = last?.engine;
      last = undefined;
      if (!engine || !wish) return 0;
      const ids = new Set(wish.instances.map(({ container }) => container?.id));
      const registered = [...engine.containers.values()].filter(({ id }) => ids.has(id));
      return drainOfAll(registered, settings.labelPrefix);
    },
  };
}

function drained(reasoned: Reasoned): Reasoned {
  return { ...reasoned, instance: { ...reasoned.instance, state: "draining" } };
}

/** What becomes of the records of a container that are not wanted. */
function fateOf(engine: Engine, id: string | undefined): Fate {
  const { containers, unread, ended, crashing } = engine;
  // Records that name no container may be of any, if they are adopted.
  if (id === undefined) return unread.size > 0 ? "unread" : "gone";
  if (unread.has(id)) return "unread";
  const container = containers.get(id);
  if (container) return dependsOnUnread(container, engine) ? "unread" : "live";
  const kept = ended.get(id);
  if (kept !== undefined) return kept ? "kept" : "gone";
  return crashing.has(id) ? "gone" : "unknown";
}

/** Whether the container's ports may be those of another one, which Docker cannot describe. */
function dependsOnUnread(container: Container, { containers, unread, ended, crashing }: Engine): boolean {
  if (unread.size === 0) return false;
  const missing = missingOnTheWay(container, containers);
  return missing !== undefined && !ended.has(missing) && !crashing.has(missing);
}

function crashRemarks({ crashing }: Engine): readonly Remark[] {
  return [...crashing.values()].map(({ name }) => ({
    kind: "skipped",
    container: name,
    reason: crashReason,
  }));
}
