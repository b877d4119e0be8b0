import type { Instance } from "../instance.ts";
import type { Container } from "./docker/container.ts";
import { probeOf } from "./roles/connect.ts";
import { withStanding } from "./roles/publish.ts";
import { claimant } from "./roles/role-source.ts";
import { type Followed, probing, watchRoles } from "./roles/watch.ts";
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
  close(): void;
}

/** `changed` is told of each role that is found, lost, or cannot be had. */
export function createFoundRoles(probes: ProbeSettings, changed: () => void): FoundRoles {
  const watch = watchRoles(changed);
  let asked: readonly Reasoned[] = [];

  const followed = ({ instance, roleSource }: Reasoned, started: string): readonly Followed[] => {
    if (roleSource === undefined || roleSource.by === "elect") return [];
    const { id, service, address, port, container } = instance;
    return [
      {
        id,
        life: JSON.stringify([service, address, port, container?.id, started, claimant(roleSource)]),
        begin: probing(() => probeOf(instance, roleSource, probes), probes),
      },
    ];
  };

  return {
    publish(registered, containers) {
      asked = registered.filter(({ roleSource }) => roleSource !== undefined);
      watch.follow(
        asked.flatMap((one) =>
          followed(one, containers.get(one.instance.container?.id ?? "")?.started ?? ""),
        ),
      );
      return registered.map(({ instance, roleSource }) =>
        roleSource === undefined ? instance : withStanding(instance, roleSource, watch.standing(instance.id)),
      );
    },
    recall(records) {
      for (const { id, role, claim, address, port } of records) {
        const now = asked.find(({ instance }) => instance.id === id)?.instance;
        if (role === undefined || now?.address !== address || now.port !== port) continue;
        watch.recall(id, { role, ...(claim?.epoch !== undefined && { epoch: claim.epoch }) });
      }
    },
    remarks: () =>
      asked.flatMap(({ instance, port, roleSource }): Remark[] => {
        const problem = watch.standing(instance.id)?.problem;
        if (roleSource === undefined || problem === undefined) return [];
        const { container, address } = instance;
        const what = `${claimant(roleSource)} at ${address} port ${instance.port} does not tell its role: ${problem}`;
        return [
          {
            kind: "mistake",
            container: container?.name ?? instance.id,
            ...(port !== undefined && { port }),
            reason: what,
          },
        ];
      }),
    close: watch.close,
  };
}
