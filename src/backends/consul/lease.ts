import { monotonic } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import type { Instance } from "../../instance.ts";
import { type Lease, type LeaseOptions, type Owner, ownerText } from "../backend.ts";
import {
  adoptedInstance,
  type Entry,
  readAgentHealth,
  readAgentNode,
  readAgentServices,
  readEntries,
  type Service,
  writtenInstance,
} from "./answer.ts";
import type { ConsulApi } from "./api.ts";
import { createBelief } from "./belief.ts";
import {
  heartbeatBody,
  heartbeatCheck,
  heartbeatName,
  heartbeatPrefix,
  instanceBody,
  isAddressable,
  maintenanceCheck,
  stateInNotes,
} from "./body.ts";
import { createLeaseChecks, isWhole } from "./lease-checks.ts";

/** What is remembered of an own record. */
interface Held {
  readonly service: string;
  /** True when our last write left it without maintenance: only an operator's can stand there since. */
  readonly ready: boolean;
}

/** ms for which the ids of a list that was read count as all that there are. */
const listed = 5_000;

/**
 * The lease of one host at the local agent: the TTL check of its heartbeat service, or with a `ttl` of 0 that
 * service alone.
 *
 * A beat is one request, and its answer also tells a run that a later one took over: the check of the earlier
 * run is gone. A record is written with one request. The service is read before, unless our last write left it
 * ready and it stays so, or it was not there a moment ago: it may belong to somebody else, or be under an
 * operator's maintenance. What takes an instance out of service is preceded by a beat: a later run would not
 * notice it for long. Without a ttl no beat tells of a loss: each write is preceded by a look at the claim.
 */
export function createConsulLease(
  api: ConsulApi,
  owner: Owner,
  ttl: number,
  options: LeaseOptions = {},
): Lease {
  const { node, run } = owner;
  const mine = ownerText(owner);
  const heartbeat = heartbeatName(node);
  const believe = createBelief(api, heartbeat, (question, signal) => api.health(heartbeat, question, signal));
  const held = new Map<string, Held>();
  const checks = createLeaseChecks(api, ttl, options.allowCheckScripts ?? false);
  let taken = false;
  let everTaken = false;
  /** Every id of the agent as listed then, and those written since. */
  let known: { readonly ids: Set<string>; readonly at: number } | undefined;

  const assertTaken = (signal: AbortSignal) => {
    if (signal.aborted) throw new PortolanError("ABORTED", "cancelled");
    if (!taken) throw new PortolanError("LEASE_LOST", `the heartbeat of ${mine} is gone from Consul's agent`);
  };

  const superseded = () => {
    taken = false;
    return new PortolanError("SUPERSEDED", `a newer registrator of ${mine} has taken over its heartbeat`);
  };

  /** Rejects for a claim of the node that is somebody else's, or of a run of ours that beats. */
  const assertFree = (entry: Entry) => {
    const claim = claimOf(entry);
    if (claim === "none") return;
    const { meta } = entry.service;
    const holder = meta["portolan-owner"] ?? "somebody else than Portolan";
    if (holder !== mine && (everTaken || holder !== options.inherits)) {
      const wayOut =
        claim === "silent"
          ? `, whose claim has no time to live; if it is gone, deregister the service ${heartbeat} from its agent`
          : "";
      throw new PortolanError("NODE_TAKEN", `node ${node} belongs to ${holder}${wayOut}`);
    }
    if (claim === "beats" && everTaken && meta["portolan-run"] !== run) throw superseded();
  };

  /** Takes the lease anew, unless it belongs to somebody who lives. */
  const take = async (signal: AbortSignal) => {
    const [self, local, everywhere, services] = await Promise.all([
      // The right to read the agent is not needed for anything else.
      api.agentSelf(signal).catch(unlessDenied),
      api.agentHealth(heartbeat, signal),
      // Nobody else holds the node, unless the token may not see who does.
      believe({ index: 0, consistent: false }, signal),
      api.agentServices(["portolan-node", node], signal),
    ]);
    // The catalog is some milliseconds behind this agent, whose own word counts for its own services. What else
    // has the name of a heartbeat claims nothing.
    const agentNode = readAgentNode(self);
    const elsewhere = readEntries(heartbeat, everywhere.body).filter(
      (entry) =>
        entry.node !== agentNode &&
        entry.service.id === heartbeat &&
        entry.service.meta["portolan-run"] !== undefined,
    );
    for (const entry of [...elsewhere, ...readAgentHealth(local)]) assertFree(entry);
    // What a dead owner of this node left on this agent would come to life with the new heartbeat.
    const left = readAgentServices(services).filter(
      ({ id, meta }) => id !== heartbeat && meta["portolan-node"] === node && isOthers(meta),
    );
    await deregisterAll(left, signal);
    await api.register(heartbeatBody(node, mine, run, ttl), true, signal);
    // The agent saves a TTL check's state with its beats: without one it would forget it if it restarted now,
    // and every record would be hidden until the next.
    if (ttl > 0) await api.pass(heartbeatCheck(node, run), signal);
    held.clear();
    known = undefined;
    checks.forget();
    taken = true;
    everTaken = true;
  };

  const isOthers = ({ "portolan-owner": by, "portolan-node": at }: Service["meta"]) =>
    by !== mine && (by === undefined || by !== options.inherits || at !== node);

  /** Rejects when somebody took over, who would not notice a write of ours. */
  const assertStillOurs = async (signal: AbortSignal) => {
    let isOurs = false;
    try {
      if (ttl > 0) {
        isOurs = await api.pass(heartbeatCheck(node, run), signal);
      } else {
        const claims = readAgentHealth(await api.agentHealth(heartbeat, signal));
        for (const claim of claims) assertFree(claim);
        isOurs = claims.length > 0;
      }
    } catch (error) {
      if (error instanceof PortolanError && error.code === "NODE_TAKEN") taken = false;
      throw error;
    }
    if (!isOurs) taken = false;
    assertTaken(signal);
  };

  const isAdopted = ({ id, meta }: Service) =>
    meta["portolan-owner"] === undefined && (options.adopt?.(id) ?? false);

  /** Own and adopted records on this agent, and whether its claim is ours. Rejects when a later run beats. */
  const readOwn = async (signal: AbortSignal) => {
    const meta = options.inherits ? (["portolan-node", node] as const) : (["portolan-owner", mine] as const);
    const isFirst = held.size === 0;
    const at = monotonic();
    const listing = await api.agentServices(options.adopt || isFirst ? "all" : meta, signal);
    const services = readAgentServices(listing);
    if (isFirst) known = { ids: new Set(services.map(({ id }) => id)), at };
    const own = services.filter((service) => !isOthers(service.meta));
    const beat = own.find(({ id }) => id === heartbeat);
    const isThisRun = beat?.meta["portolan-run"] === run;
    let claim: Claim = "none";
    if (beat && !isThisRun) {
      const [now] = readAgentHealth(await api.agentHealth(heartbeat, signal));
      if (now) claim = claimOf(now);
      if (claim === "beats") throw superseded();
    }
    return {
      records: own.filter(({ id }) => id !== heartbeat),
      adopted: services.filter(isAdopted),
      isOurs: isThisRun || (ttl === 0 && claim === "silent"),
    };
  };

  /** A service of ours as the agent has it. Rejects with NOT_OWNER for one of somebody else. */
  const look = async (id: string, signal: AbortSignal): Promise<Entry | undefined> => {
    const [found] = readAgentHealth(await api.agentHealth(id, signal));
    if (found && isOthers(found.service.meta) && !isAdopted(found.service)) {
      const other = found.service.meta["portolan-owner"] ?? "somebody else than Portolan";
      throw new PortolanError("NOT_OWNER", `record ${id} belongs to ${other}; it was left alone`);
    }
    return found;
  };

  const deregisterAll = async (services: readonly Service[], signal: AbortSignal) => {
    const rest = [...services];
    const some = async () => {
      for (let next = rest.pop(); next; next = rest.pop()) await api.deregister(next.id, signal);
    };
    await Promise.all(Array.from({ length: 16 }, some));
  };

  return {
    async renew(signal) {
      if (taken && (ttl === 0 || (await api.pass(heartbeatCheck(node, run), signal)))) {
        await checks.beat(signal);
        return { ttl, fresh: false };
      }
      taken = false;
      await take(signal);
      return { ttl, fresh: true };
    },

    async register(instance, signal) {
      assertTaken(signal);
      assertAddressable(instance);
      const { id, service } = instance;
      const ready = instance.state === "ready";
      const isKnown = ready && held.get(id)?.ready && !checks.drops(instance);
      const isNew = known !== undefined && !known.ids.has(id) && monotonic() - known.at < listed;
      const [found] = await Promise.all([
        isKnown || isNew ? undefined : look(id, signal),
        ready && ttl > 0 ? undefined : assertStillOurs(signal),
      ]);
      const maintenance = found?.checks.find((check) => check.id === maintenanceCheck(id));
      const adopts = found !== undefined && isOthers(found.service.meta);
      // An operator's maintenance stays as it is. Ours is lifted in the same write, by not listing its check, as
      // are the checks of whoever registered it before us; every other write keeps the checks that it does not
      // list, so that it cannot lift an operator's.
      const ours = maintenance === undefined || stateInNotes(maintenance.notes) !== undefined;
      const replace = ours && (adopts || (ready && maintenance !== undefined));
      held.delete(id); // A write that fails may have happened.
      known?.ids.add(id);
      if (adopts && !replace) await checks.removeOld(instance, found, false, signal);
      const leftOut = await checks.write(
        instance,
        async (ordered) => {
          const checked = { alias: ttl > 0, ordered, maintenance: ours && !ready };
          const registration = instanceBody({ ...instance, owner: mine }, checked);
          await api.register(registration.body, replace, signal);
          return registration.leftOut;
        },
        signal,
      );
      if (found && !adopts) await checks.removeOld(instance, found, true, signal);
      held.set(id, { service, ready });
      return { leftOut };
    },

    async deregister({ id, service }, signal) {
      assertTaken(signal);
      if (!isAddressable(id)) return;
      if (ttl === 0) await assertStillOurs(signal);
      // Consul's ids are unique without the name: under another name it is another record of ours.
      if ((held.get(id)?.service ?? (await look(id, signal))?.service.name) !== service) return;
      held.delete(id);
      checks.drop(id);
      await api.deregister(id, signal);
    },

    async owned(signal) {
      assertTaken(signal);
      const { records, adopted, isOurs } = await readOwn(signal);
      if (!isOurs) taken = false;
      assertTaken(signal);
      const services = [...records, ...adopted];
      const ids = new Set(services.map(({ id }) => id));
      for (const id of held.keys()) if (!ids.has(id)) held.delete(id);
      const written = await checks.complete(records.flatMap(readable), signal);
      const whole = new Set(written.filter(isWhole).map(({ id }) => id));
      // What was written since by somebody else, or came late, is there, whatever our own last write said.
      for (const { id, name, meta } of services) {
        const ready = whole.has(id) && (meta["portolan-state"] ?? "ready") === "ready";
        held.set(id, { service: name, ready: ready && (held.get(id)?.ready ?? false) });
      }
      return [...written, ...adopted.map((service) => adoptedInstance(service, node))];
    },

    async release(signal) {
      if (!everTaken) return;
      const [claim] = readAgentHealth(await api.agentHealth(heartbeat, signal));
      if (!claim || claim.service.meta["portolan-owner"] === mine) {
        const { records } = await readOwn(signal);
        await deregisterAll(records, signal);
        await api.deregister(heartbeat, signal);
      }
      taken = false;
      everTaken = false;
      held.clear();
      known = undefined;
      checks.forget();
    },
  };
}

/** How a node is claimed: by a heartbeat, by a service that owes none, or by nobody who lives. */
type Claim = "beats" | "silent" | "none";

/** What the heartbeat service says, unless its Consul node is dead. */
export function claimOf({ checks }: Entry): Claim {
  if (checks.some((check) => check.id === "serfHealth" && check.critical)) return "none";
  const beats = checks.filter((check) => check.id.startsWith(heartbeatPrefix));
  if (beats.length === 0) return "silent";
  return beats.some((check) => check.passing) ? "beats" : "none";
}

/** The record, or nothing when somebody made it unreadable; registering it again repairs it. */
function readable(service: Service): Instance[] {
  try {
    return [writtenInstance(service)];
  } catch {
    return [];
  }
}

/** Throws for what Consul would take and then neither show nor remove. */
function assertAddressable({ id, service }: Instance): void {
  const isFree = (text: string) => isAddressable(text) && !text.startsWith(heartbeatPrefix);
  if (isFree(id) && isFree(service)) return;
  throw new PortolanError(
    "RECORD",
    `instance ${id} of ${service}: Consul cannot address an empty, "." or ".." part between slashes, and ` +
      `"${heartbeatPrefix}" begins what a heartbeat is called; give it another SERVICE_ID or SERVICE_NAME`,
  );
}

function unlessDenied(error: unknown): undefined {
  if (!(error instanceof PortolanError && error.code === "BACKEND_DENIED")) throw error;
}
