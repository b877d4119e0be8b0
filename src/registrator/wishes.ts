import { hostname } from "node:os";
import type { Owner } from "../backends/backend.ts";
import type { Instance } from "../instance.ts";
import { hostAddress } from "./address/host-address.ts";
import { isUpstreamId } from "./adopt.ts";
import { desired } from "./desired.ts";
import { crashReason } from "./docker/crashes.ts";
import type { DockerSource, Engine } from "./docker/engine.ts";
import type { Fate } from "./plan.ts";
import type { Wish } from "./reconcile.ts";
import type { Reporter } from "./report.ts";
import { drainOfAll } from "./rules/drain.ts";
import type { Remark } from "./rules/outcome.ts";
import type { RegistratorSettings } from "./settings.ts";

/** What the backends should hold, as Docker, the host and the settings say. */
export interface Wishes {
  /** The very same as before while nothing changed; undefined as long as nobody can tell. */
  current(): Wish | undefined;
  /** Whether a record that names no owner is one that gliderlabs/registrator left for this host. */
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
}

/** Computes the wish once per change of Docker or of the host's address. */
export function createWishes({ source, docker, settings, env, run, report }: WishesOptions): Wishes {
  let last: { engine: Engine; address: string; wish: Wish } | undefined;
  let lastAddress: string | undefined;
  let draining = false;

  const current = (): Wish | undefined => {
    const observed = source.current();
    if (!observed.known) return undefined;
    const engine = observed.value;
    const address = hostAddress(settings.ip, { env, engine, docker });
    report.hostAddress(address);
    // An address that is not known at present is no reason to remove what is registered under the one before.
    if (typeof address === "string") lastAddress = address;
    const usable = lastAddress ?? address;
    if (typeof usable !== "string" && !settings.internal) return undefined;
    const key = JSON.stringify(usable);
    if (last?.engine === engine && last.address === key) return last.wish;
    const { instances, remarks } = desired(engine, settings, usable);
    report.remarks([...remarks, ...crashRemarks(engine)]);
    const owner: Owner = { node: settings.node ?? engine.hostname, engine: engine.id, run };
    const wished = draining ? instances.map(drained) : instances;
    last = { engine, address: key, wish: { owner, instances: wished, fate: (id) => fateOf(engine, id) } };
    return last.wish;
  };

  return {
    current,
    // Upstream takes the host name of its own process: that of Docker's host, or what somebody made it be.
    isUpstream(id) {
      const observed = source.current();
      const engine = observed.known ? observed.value.hostname : undefined;
      return isUpstreamId(id, [engine, settings.node, hostname()]);
    },
    recall: (records) =>
      source.recall(
        records.flatMap(({ container, state }) =>
          container ? { id: container.id, draining: state === "draining" } : [],
        ),
      ),
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

function drained(instance: Instance): Instance {
  return { ...instance, state: "draining" };
}

/** What becomes of the records of a container that are not wanted. */
function fateOf({ containers, unread, ended, crashing }: Engine, id: string | undefined): Fate {
  // Records that name no container may be of any, if they are adopted.
  if (id === undefined) return unread.size > 0 ? "unread" : "gone";
  if (unread.has(id)) return "unread";
  if (containers.has(id)) return "live";
  const kept = ended.get(id);
  if (kept !== undefined) return kept ? "kept" : "gone";
  return crashing.has(id) ? "gone" : "unknown";
}

function crashRemarks({ crashing }: Engine): readonly Remark[] {
  return [...crashing.values()].map(({ name }) => ({
    kind: "skipped",
    container: name,
    reason: crashReason,
  }));
}
