import type { Backend } from "../backends/backend.ts";
import { untilAborted } from "../clock.ts";
import type { Instance } from "../instance.ts";
import type { Container } from "./docker/container.ts";
import { probeOf } from "./roles/connect.ts";
import type { Ballot } from "./roles/election.ts";
import type { Promote } from "./roles/promotion.ts";
import { withStanding } from "./roles/publish.ts";
import { claimant, type RoleSource } from "./roles/role-source.ts";
import { electing, type Followed, fixed, probing, watchRoles } from "./roles/watch.ts";
import type { Reasoned, Remark } from "./rules/outcome.ts";
import type { ProbeSettings } from "./settings.ts";

/** The roles of the instances that have to be asked for them. */
export interface FoundRoles {
  /**
   * The instances with the roles that are known now, in the same order; unchanged ones are the same objects. From
   * now on exactly those that ask for it are probed.
   */
  publish(registered: readonly Reasoned[], containers: ReadonlyMap<string, Container>): readonly Instance[];
  /** Records of an earlier run: their roles count until the first answer, so that a restart leaves no gap. */
  recall(records: readonly Instance[]): void;
  /** Servers that do not tell their role, and why. */
  remarks(): readonly Remark[];
  /** Another number after each change of what `publish` would give. */
  revision(): number;
  /** Ends the asking, and waits until locks are given up. */
  close(): Promise<void>;
}

/** How the role of an instance is found out. */
export type Inquiry = (instance: Instance, source: RoleSource) => Followed["begin"];

/** Where elections are held. */
export interface Elections {
  /** The lock of a service, and the name under which an instance contends for it. */
  open(service: string, contender: string): Ballot;
  /** Whether a lock is left to run out when it is not wanted any more, because the next process is to take it up. */
  keeps(): boolean;
  /** What is to be done before an instance that has won is master; nothing when absent. */
  readonly promote?: ((instance: Instance) => Promote) | undefined;
}

/** Seconds that a lock lives without a beat, where records live for ever. */
const lockTtl = 15;

/** Elections by the locks of the first backend that has locks, whatever the others are; undefined where none has. */
export function electionsOn(
  backends: readonly Backend[],
  ttl: number,
  rest: Pick<Elections, "keeps" | "promote">,
): Elections | undefined {
  const backend = backends.find(({ lock }) => lock !== undefined);
  const open = backend?.lock?.bind(backend);
  return (
    open && {
      open: (service, contender) => open(`roles/${service}`, contender, ttl || lockTtl),
      ...rest,
    }
  );
}

/**
 * Asks the servers, and contends for the locks. Without `elections`, because no backend has locks, instances that
 * ask for one have no role.
 */
export function inquiry(probes: ProbeSettings, elections: Elections | undefined): Inquiry {
  return (instance, source) => {
    if (source.by !== "elect") return probing(() => probeOf(instance, source, probes), probes);
    if (elections === undefined) return fixed({ problem: "no backend that is given has locks" });
    // Who gets no traffic is no candidate.
    if (instance.state !== "ready") return fixed({ finding: { role: "slave" } });
    const { id, service } = instance;
    return electing(() => elections.open(service, id), elections.keeps, elections.promote?.(instance));
  };
}

/** Asks nobody: what the records say stays. */
export const believing: Inquiry = () => () => {};

/** `changed` is told of each role that is found, lost, or cannot be had. */
export function createFoundRoles(begin: Inquiry, changed: () => void): FoundRoles {
  let revision = 0;
  const watch = watchRoles(() => {
    revision += 1;
    changed();
  });
  let tellRecalled = () => {};
  /** Resolves when it is known which roles an earlier run has published. */
  const recalled = new Promise<void>((resolve) => {
    tellRecalled = resolve;
  });
  /** Who takes part in an election has to know whether it was master before: a restart is no promotion. */
  const onceRecalled =
    (begin: Followed["begin"]): Followed["begin"] =>
    async (place, ended) => {
      await Promise.race([recalled, untilAborted(ended)]);
      if (!ended.aborted) await begin(place, ended);
    };
  let asked: readonly Reasoned[] = [];

  const followed = (
    { instance, roleSource }: Reasoned,
    containers: ReadonlyMap<string, Container>,
  ): readonly Followed[] => {
    if (roleSource === undefined) return [];
    const { id, service, address, port, container } = instance;
    const started = containers.get(container?.id ?? "")?.started;
    const candidate = roleSource.by === "elect" && instance.state === "ready";
    const life = [service, address, port, container?.id, started, claimant(roleSource), candidate];
    const inquire = begin(instance, roleSource);
    return [{ id, life: JSON.stringify(life), begin: candidate ? onceRecalled(inquire) : inquire }];
  };

  return {
    publish(registered, containers) {
      asked = registered.filter(({ roleSource }) => roleSource !== undefined);
      watch.follow(asked.flatMap((one) => followed(one, containers)));
      return registered.map(({ instance, roleSource }) =>
        roleSource === undefined ? instance : withStanding(instance, roleSource, watch.standing(instance.id)),
      );
    },
    recall(records) {
      for (const { id, role, claim, address, port, container } of records) {
        const now = asked.find(({ instance }) => instance.id === id)?.instance;
        if (role === undefined || now?.address !== address || now.port !== port) continue;
        // Another container, which took the place of the one that had the role.
        if (container !== undefined && container.id !== now.container?.id) continue;
        watch.recall(id, { role, ...(claim?.epoch !== undefined && { epoch: claim.epoch }) });
      }
      tellRecalled();
    },
    remarks: () =>
      asked.flatMap(({ instance, port, roleSource }): Remark[] => {
        const problem = watch.standing(instance.id)?.problem;
        if (roleSource === undefined || problem === undefined) return [];
        const { container, address } = instance;
        const what =
          roleSource.by === "elect"
            ? `its election fails: ${problem}`
            : `${claimant(roleSource)} at ${address} port ${instance.port} does not tell its role: ${problem}`;
        return [
          {
            kind: "mistake",
            code: "ROLE_UNKNOWN",
            container: container?.name ?? instance.id,
            ...(port !== undefined && { port }),
            reason: what,
          },
        ];
      }),
    revision: () => revision,
    close: watch.close,
  };
}
