import type { DaemonStatus, RegistratorStatus, ShownInstance, TemplaterStatus } from "../daemon-status.ts";
import { states } from "../instance.ts";

/** A family of numbers that are read from the status at the moment of a scrape. */
export interface Gauge {
  /** With its unit, and without `portolan_`. */
  readonly name: string;
  readonly help: string;
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

/** The shapes of a status that may be of a registrator, a templater, or an agent. */
export function partsOf(status: DaemonStatus): {
  readonly registrator: RegistratorStatus | undefined;
  readonly templater: TemplaterStatus | undefined;
} {
  const { registrator, templater } = status;
  return {
    registrator: registrator ?? ("docker" in status ? (status as RegistratorStatus) : undefined),
    templater: templater ?? ("targets" in status ? (status as TemplaterStatus) : undefined),
  };
}

/** What a status says in numbers. No service and no container is named: a label with their names leaks them. */
export function gaugesOf(status: DaemonStatus, notReady: readonly string[]): readonly Gauge[] {
  const { registrator, templater } = partsOf(status);
  return [
    one("ready", "1 while all is in sync with the world", notReady.length === 0),
    ...(registrator ? registratorGauges(registrator) : []),
    ...(templater ? templaterGauges(templater) : []),
    staleness(registrator, templater),
  ];
}

function registratorGauges({ docker, instances, remarks, backends }: RegistratorStatus): readonly Gauge[] {
  const byBackend = (value: (backend: RegistratorStatus["backends"][number]) => number) =>
    backends.map((backend) => ({ labels: { backend: backend.backend }, value: value(backend) }));
  return [
    one("docker_up", "1 while Docker is watched", docker.problem === undefined && docker.id !== undefined),
    {
      name: "wanted_instances",
      help: "Instances that should be registered, by state",
      samples: byState(instances),
    },
    {
      name: "remarks",
      help: "Ports that are not registered and values that were not used; a mistake should be mended",
      samples: (["skipped", "mistake"] as const).map((kind) => ({
        labels: { kind },
        value: remarks.filter((remark) => remark.kind === kind).length,
      })),
    },
    {
      name: "lease_held",
      help: "1 while the host's lease is held",
      samples: byBackend(({ joined }) => Number(joined)),
    },
    {
      name: "held_records",
      help: "Records of this host that the backend holds",
      samples: byBackend(({ held }) => held.length),
    },
    { name: "roles", help: "Instances of this host by role", samples: byRole(instances) },
  ];
}

function templaterGauges({ services, contested, unreadable, targets }: TemplaterStatus): readonly Gauge[] {
  const byTarget = (value: (target: TemplaterStatus["targets"][number]) => number) =>
    targets.map((target) => ({ labels: { target: target.destination }, value: value(target) }));
  const total = (value: (service: TemplaterStatus["services"][number]) => number) =>
    services.reduce((sum, service) => sum + value(service), 0);
  return [
    plain("services", "Services that are read and known", services.length),
    plain(
      "known_instances",
      "Instances of the services that are read",
      total(({ count }) => count),
    ),
    plain(
      "ready_instances",
      "Those of them that are ready",
      total(({ ready }) => ready),
    ),
    plain(
      "contested_services",
      "Services in which more than one ready instance claims to be the master",
      contested.length,
    ),
    plain("unreadable_records", "Records of the backend that cannot be read", unreadable.length),
    {
      name: "target_in_sync",
      help: "1 while the file is what it should be, and the proxy has taken it",
      samples: byTarget(({ reason, owed }) => Number(reason === undefined && owed === undefined)),
    },
    {
      name: "guard_held_instances",
      help: "Instances that a guard shows though the backend does not",
      samples: byTarget(({ held = [] }) => held.reduce((sum, { ids }) => sum + ids.length, 0)),
    },
    {
      name: "held_back_services",
      help: "Services that are shown as they were because the check refuses what they have become",
      samples: byTarget(({ heldBack = [] }) => heldBack.length),
    },
    {
      name: "quarantined_instances",
      help: "Instances that are left out because of a value that the format refuses",
      samples: byTarget(({ refused }) => refused.length),
    },
  ];
}

function staleness(
  registrator: RegistratorStatus | undefined,
  templater: TemplaterStatus | undefined,
): Gauge {
  const of = (source: string, value: number) => ({ labels: { source }, value });
  return {
    name: "staleness_seconds",
    help: "For how long a part of the world may be other than what is known or written of it",
    samples: [
      ...(registrator ? [of("docker", registrator.docker.staleSeconds)] : []),
      ...(registrator?.backends ?? []).map(({ backend, staleSeconds }) =>
        of(`write ${backend}`, staleSeconds),
      ),
      ...(templater ? [of(`read ${templater.backend}`, templater.staleSeconds)] : []),
    ],
  };
}

function byState(instances: readonly ShownInstance[]): Gauge["samples"] {
  return states.map((state) => ({
    labels: { state },
    value: instances.filter((instance) => instance.state === state).length,
  }));
}

function byRole(instances: readonly ShownInstance[]): Gauge["samples"] {
  return (["master", "slave"] as const).map((role) => ({
    labels: { role },
    value: instances.filter((instance) => instance.role === role).length,
  }));
}

const plain = (name: string, help: string, value: number): Gauge => ({
  name,
  help,
  samples: [{ labels: {}, value }],
});

const one = (name: string, help: string, isTrue: boolean): Gauge => plain(name, help, Number(isTrue));
