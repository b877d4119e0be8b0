/** What the daemons count, by name; `portolan_` goes before it and `_total` after it where Prometheus reads it. */
export const counters = {
  docker_events: { help: "Events that Docker has told, by what happened", labels: ["action"] },
  passes: { help: "Passes of the control loops, by loop and outcome", labels: ["loop", "result"] },
  retries: { help: "Failures after which something is tried again, by loop", labels: ["loop"] },
  plans: {
    help: "Comparisons of what is wanted with what is held, by outcome",
    labels: ["backend", "result"],
  },
  writes: {
    help: "Registrations and deregistrations in a backend, by outcome",
    labels: ["backend", "operation", "result"],
  },
  renewals: { help: "Heartbeats of the host's lease, by outcome", labels: ["backend", "result"] },
  role_changes: { help: "Roles that were found, lost or have changed", labels: [] },
  promotions: { help: "Runs of the command for the winner of an election, by outcome", labels: ["result"] },
  snapshots: { help: "Changes of what the backend is known to hold", labels: ["backend"] },
  renders: { help: "Renders of all templates of a target, by outcome", labels: ["target", "result"] },
  checks: { help: "Runs of the check command, by outcome", labels: ["target", "result"] },
  reloads: { help: "Reloads of the proxy, by outcome", labels: ["target", "result"] },
  reload_turns: {
    help: "Reloads that take turns among hosts, by how they came to it: taken, late or unreached",
    labels: ["target", "result"],
  },
  runtime_operations: {
    help: "Servers that were added, set or removed in a running proxy, without a reload",
    labels: ["target"],
  },
  verdicts: { help: "What became of changes, as the journal says", labels: ["target", "verdict"] },
  guard_holds: { help: "Services that a guard began to hold as they were", labels: ["target"] },
  held_back: {
    help: "Services that began to be held back because the check refuses them",
    labels: ["target"],
  },
  quarantines: {
    help: "Instances that were left out because of a value that the format refuses",
    labels: ["target"],
  },
} as const;

/** What the daemons measure, by name; `portolan_` goes before it and `_seconds` after it where Prometheus reads it. */
export const timings = {
  write_duration: { help: "One registration or deregistration", labels: ["backend", "operation"] },
  renewal_duration: { help: "One heartbeat of the host's lease", labels: ["backend"] },
  registration_latency: {
    help: "From the moment at which a change of the containers is known until the backend holds it",
    labels: ["backend"],
  },
  render_duration: { help: "One render of all templates of a target", labels: ["target"] },
  check_duration: { help: "One run of the check command that passed", labels: ["target"] },
  reload_duration: { help: "One reload, with its verification, or the same at runtime", labels: ["target"] },
  apply_latency: {
    help: "From the moment at which a change is known until the proxy has accepted it",
    labels: ["target"],
  },
} as const;

/** A name of the table of counters. */
export type Counter = keyof typeof counters;
/** A name of the table of timings. */
export type Timing = keyof typeof timings;

type LabelsOf<T extends { readonly labels: readonly string[] }> = Readonly<
  Record<T["labels"][number], string>
>;

/** The labels of a counter, each with its value. What containers say is no value: it would be no end of them. */
export type CounterLabels<N extends Counter> = LabelsOf<(typeof counters)[N]>;
/** The labels of a timing, each with its value. */
export type TimingLabels<N extends Timing> = LabelsOf<(typeof timings)[N]>;

/** Where the daemons leave what they count. It answers nothing and never throws, so nobody can decide by it. */
export interface Meter {
  /** Adds `by`, 1 where it is absent. */
  count<N extends Counter>(name: N, labels: CounterLabels<N>, by?: number): void;
  /** Notes that something took so many ms. */
  time<N extends Timing>(name: N, labels: TimingLabels<N>, ms: number): void;
}

/** A meter for whoever does not measure. */
export const unmeasured: Meter = { count() {}, time() {} };
