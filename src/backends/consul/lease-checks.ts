import { PortolanError } from "../../errors.ts";
import type { Instance } from "../../instance.ts";
import { type Check, type Entry, readAgentChecks } from "./answer.ts";
import type { ConsulApi } from "./api.ts";
import { type Beats, createBeats } from "./beats.ts";
import { aliasCheck, maintenanceCheck, stateInNotes } from "./body.ts";
import { checkPrefix, type Order, type OrderedCheck, orderedChecks } from "./checks.ts";
import { type Ordered, orderInNotes, orderNotes } from "./order.ts";

/** The checks of the records of one lease, as the agent has them. */
export interface LeaseChecks {
  /** Whether the instance no longer orders a check that its record may have. */
  drops(instance: Instance): boolean;
  /**
   * Calls `put` with the checks that the instance orders. Where the agent refuses the registration for them, it
   * is called again with fewer: a service is worth more than its checks. Resolves with what was left out.
   */
  write(
    instance: Instance,
    put: (ordered: readonly OrderedCheck[]) => Promise<readonly string[]>,
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  /** Removes what the registration before left: of ours, what is no longer ordered; of another's, everything. */
  removeOld(instance: Instance, found: Entry, isOurs: boolean, signal: AbortSignal): Promise<void>;
  /** Beats the TTL checks that are due. */
  beat(signal: AbortSignal): Promise<void>;
  /**
   * The records with their checks as they were ordered, and as none that is whole where the agent lost some, or
   * where the maintenance mode is not what the state says: somebody lifted ours.
   */
  complete(records: readonly Instance[], signal: AbortSignal): Promise<readonly Instance[]>;
  /** The record is about to be removed. */
  drop(id: string): void;
  /** The agent may have lost everything. */
  forget(): void;
}

/** What is known of a record's checks. */
interface Known {
  readonly order: Ordered;
  readonly ids: ReadonlySet<string>;
  /** Why the agent refused this order. */
  readonly refused?: string | undefined;
}

const notAllowed =
  "scripts run on Consul's agent, and are not allowed; allow them with --allow-check-scripts, or use another check";
const agentRefuses =
  "Consul's agent runs no scripts; set enable_script_checks in its configuration, or use another check";

/** An order that nobody gives: a record that has it equals no wish, and is written again. */
const incomplete: Ordered = { incomplete: "true" };

/** Whether the agent has what a record that `complete` returned says. */
export const isWhole = ({ checks }: Instance): boolean => checks !== incomplete;

/** The checks of a lease of `ttl` seconds; asks nothing by itself. */
export function createLeaseChecks(api: ConsulApi, ttl: number, allowScripts: boolean): LeaseChecks {
  const beats: Beats = createBeats(api);
  const known = new Map<string, Known>();
  let agentRunsScripts = true;

  const orderOf = (instance: Instance): Order & { readonly refused?: string } => {
    const order = instance.checks ?? {};
    const { refused, order: before = {} } = known.get(instance.id) ?? {};
    if (refused !== undefined && sameOrder(before, order)) {
      return { checks: [], leftOut: [`checks: ${refused}`], refused };
    }
    const noScripts = allowScripts ? (agentRunsScripts ? undefined : agentRefuses) : notAllowed;
    return orderedChecks(instance, { noScripts, leaseTtl: ttl });
  };

  /** The ids of all checks of ours that the instance should have. */
  const idsOf = (instance: Instance, { checks }: Order): ReadonlySet<string> =>
    new Set([...(ttl > 0 ? [aliasCheck(instance.id)] : []), ...checks.map(({ id }) => id)]);

  const keepBeats = ({ id, state }: Instance, { checks }: Order) =>
    beats.keep(
      id,
      checks.flatMap(({ id, ttl }) => (ttl === undefined ? [] : [{ id, ttl }])),
      state === "ready" || state === "draining",
    );

  return {
    drops(instance) {
      const before = known.get(instance.id);
      const ids = idsOf(instance, orderOf(instance));
      return !before || [...before.ids].some((id) => !ids.has(id));
    },

    async write(instance, put, signal) {
      const { id, checks: order = {} } = instance;
      const ask = async (): Promise<readonly string[]> => {
        const offer = orderOf(instance);
        known.delete(id);
        try {
          const leftOut = await put(offer.checks);
          known.set(id, { order, ids: idsOf(instance, offer), refused: offer.refused });
          keepBeats(instance, offer);
          return [...leftOut, ...offer.leftOut];
        } catch (error) {
          if (!(error instanceof PortolanError) || offer.checks.length === 0) throw error;
          const scripts = offer.checks.some(({ isScript }) => isScript);
          // Consul answers this one with 500.
          if (scripts && /scripts are disabled/i.test(error.message)) agentRunsScripts = false;
          else if (error.code !== "FAILED") throw error;
          else known.set(id, { order, ids: new Set(), refused: `${error.message}; registered without them` });
          return ask();
        }
      };
      const leftOut = await ask();
      await beats.now(id, signal);
      return leftOut;
    },

    async removeOld(instance, found, isOurs, signal) {
      const ids = known.get(instance.id)?.ids ?? new Set();
      const isOld = ({ id, service }: Check) =>
        service === instance.id &&
        id !== maintenanceCheck(instance.id) &&
        !ids.has(id) &&
        (!isOurs || id.startsWith(checkPrefix) || id === aliasCheck(instance.id));
      for (const { id } of found.checks.filter(isOld)) await api.deregisterCheck(id, signal);
    },

    beat: (signal) => beats.due(signal),

    async complete(records, signal) {
      const ids = new Set(records.map(({ id }) => id));
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
      beats.only(ids);
      const isPlain = ({ id, state }: Instance) =>
        state === "ready" && Object.keys(known.get(id)?.order ?? { unknown: "" }).length === 0;
      if (records.every(isPlain)) return records;
      const byService = new Map<string, Check[]>();
      const maintained = new Map<string, Check>();
      for (const check of readAgentChecks(await api.agentChecks(signal))) {
        if (check.id === maintenanceCheck(check.service)) maintained.set(check.service, check);
        // Consul before 1.5 knows no filters.
        if (!check.id.startsWith(checkPrefix) && check.id !== aliasCheck(check.service)) continue;
        byService.set(check.service, [...(byService.get(check.service) ?? []), check]);
      }
      /** A ready one may be under an operator's maintenance, and any other under his instead of ours. */
      const isMaintained = ({ id, state }: Instance) => {
        const notes = maintained.get(id)?.notes;
        return state === "ready" ? stateInNotes(notes ?? "") === undefined : notes !== undefined;
      };
      return records.map((record) => {
        const found = byService.get(record.id) ?? [];
        const noted = found.map(({ notes }) => orderInNotes(notes)).find((order) => order !== undefined);
        const remembered = known.get(record.id)?.order;
        const order = remembered && (!noted || isNoteOf(noted, remembered)) ? remembered : (noted ?? {});
        const instance = Object.keys(order).length > 0 ? { ...record, checks: order } : record;
        const offer = orderOf(instance);
        const wanted = idsOf(instance, offer);
        const hasAll = wanted.size === found.length && found.every(({ id }) => wanted.has(id));
        if (!hasAll || !isMaintained(record)) return { ...record, checks: incomplete };
        keepBeats(instance, offer);
        if (!known.has(record.id)) known.set(record.id, { order, ids: wanted });
        return instance;
      });
    },

    drop(id) {
      known.delete(id);
      beats.keep(id, [], false);
    },

    forget() {
      known.clear();
      beats.only(new Set());
      agentRunsScripts = true;
    },
  };
}

const sameOrder = (a: Ordered, b: Ordered) => orderNotes(a) === orderNotes(b);

/** Whether the notes, in which digests may stand, are those of the order. */
function isNoteOf(noted: Ordered, order: Ordered): boolean {
  const hidden = orderInNotes(orderNotes(order)) ?? {};
  const keys = Object.keys(noted);
  return keys.length === Object.keys(hidden).length && keys.every((key) => noted[key] === hidden[key]);
}
