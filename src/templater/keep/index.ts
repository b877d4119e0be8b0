import { controlLoop } from "../../loop.ts";
import { unmeasured } from "../../meter.ts";
import { createClearance } from "../clearance.ts";
import { strictest } from "../guard-settings.ts";
import { createGuardedWorld } from "../guarded-world.ts";
import { answered, keysOf } from "../interest.ts";
import { createIsolation } from "../isolation.ts";
import { keepTemplate } from "../kept-template.ts";
import { createKnownSecrets } from "../known-secrets.ts";
import { createPinLook } from "../pin-look.ts";
import { createQuarantine } from "../quarantine.ts";
import { withheldOf } from "../shown-journal.ts";
import { createTally } from "../tally.ts";
import type { Target } from "../target.ts";
import { createUnitFiles } from "../unit-files.ts";
import { createVerdicts, startCause } from "../verdicts.ts";
import { createAlarm } from "./alarm.ts";
import { createApplying } from "./applying.ts";
import { createFaults } from "./faults.ts";
import type { Keeper, KeepOptions, Surroundings } from "./keeper.ts";
import { createLag } from "./lag.ts";
import { createNudges } from "./nudges.ts";
import { createPass } from "./pass.ts";
import { createRefusedValues } from "./refused-values.ts";
import { createRendering } from "./rendering.ts";
import { createReport } from "./report.ts";
import { targetStatus } from "./target-status.ts";

export type { Keeper, KeepOptions, Surroundings } from "./keeper.ts";

/** ms that render, check and reload may take before `/readyz` says that a change is not applied. */
const patience = 5_000;

/** Starts the loop of one target, or of one group. Nothing happens before the first `look` or `reload`. */
export function keepTargets(targets: readonly Target[], options: KeepOptions, around: Surroundings): Keeper {
  const { log, meter = unmeasured } = options;
  const { records } = around;
  const paths = targets.map(({ destination }) => destination);
  const destinations = paths.join(", ");
  const name = { destination: destinations };
  const minInterval = Math.max(...targets.map((target) => target.minInterval));
  const wait = {
    min: Math.max(...targets.map((target) => target.wait.min)),
    max: Math.max(...targets.map((target) => target.wait.max)),
  };
  const nudge = () => loop.nudge();

  // What is known of the world, and what of it is shown.
  const inAgent = options.containers !== undefined;
  const kept = targets.map((target) => ({ target, template: keepTemplate(target, { inAgent }) }));
  const world = createGuardedWorld({
    settings: strictest(targets.map(({ guard = {} }) => guard)),
    lastGood: around.lastGood(paths),
    backend: around.backend,
    name,
    log,
    meter,
    changed: () => nudges.look(),
  });
  const quarantine = createQuarantine();
  const secrets = createKnownSecrets(options.env);
  const tally = createTally(destinations, meter);
  const lag = createLag(wait.max + minInterval + patience);
  const rendering = createRendering({ kept, world, quarantine, secrets, lag, tally, options, around });

  // What is told.
  const verdicts = createVerdicts(paths, async () => (await records()).journal, log, {
    shown: secrets.maskDiff,
    told: tally.verdict,
  });
  const { bad } = rendering;
  const report = createReport({ name, log, verdicts, secrets, bad, changed: around.changed });
  const refusedValues = createRefusedValues(log, tally);

  // What is done.
  const unit = createUnitFiles(targets, log);
  /** For texts that are checked and nothing else: what they leave out is nobody's concern. */
  const rehearsed = createUnitFiles(targets, { error() {} });
  const clearance = createClearance(targets, {
    locks: around.locks,
    node: options.node,
    log,
    nudge,
    told: tally.turn,
  });
  const isolation = createIsolation({ quarantine, name, log, tally, mask: secrets.mask });
  const alarm = createAlarm(nudge);
  const retry = createAlarm(nudge);
  const applying = createApplying({
    targets,
    env: options.env,
    name,
    log,
    unit,
    clearance,
    quarantine,
    isolation,
    verdicts,
    report,
    lag,
    tally,
    alarm,
    records,
    keep: ({ snapshot, keys }) => world.keep(snapshot, answered(keys, keysOf(rendering.reads()))),
  });
  const faults = createFaults({ isolation, rendering, unit: rehearsed, applying, world, tally, records });
  /** A dry run is held by none. */
  const pins = createPinLook(async () => (options.preview ? undefined : (await records()).pin(paths)));
  const pass = createPass({
    targets,
    preview: options.preview,
    masked: (diff) => secrets.maskDiff(diff, true),
    pins,
    rendering,
    refusedValues,
    unit,
    applying,
    faults,
    quarantine,
    lag,
    report,
    verdicts,
    tally,
    alarm,
    retry,
    records,
    nudge,
    settled: around.settled,
  });
  const loop = controlLoop({
    wait,
    pass: pass.run,
    failed(error, retryIn) {
      tally.passed("failed");
      report.failed(error, retryIn);
    },
  });

  const nudges = createNudges({
    kept,
    world,
    quarantine,
    isolation,
    pins,
    rendering,
    applying,
    pass,
    lag,
    report,
    verdicts,
    nudge,
    changed: around.changed,
  });
  verdicts.because(startCause);

  return {
    reads: () => kept.map(({ template }) => template.wanted()),
    look: nudges.look,
    reload: nudges.reload,
    pinned: nudges.pinned,
    watched: nudges.watched,
    touched: nudges.touched,
    notReady() {
      const [held] = world.notReady();
      const why = report.reason() ?? held ?? world.unsure() ?? lag.overdue();
      return why === undefined ? undefined : `${destinations}: ${why}`;
    },
    running() {
      const accepted = applying.running();
      return kept.map(({ template }, index) => ({
        reads: template.isKnown() ? template.wanted() : undefined,
        accepted: accepted?.[index],
      }));
    },
    status: () =>
      kept.map((one) =>
        targetStatus(one, { world, quarantine, rendering, refusedValues, unit, applying, report }),
      ),
    withheld: () =>
      new Map(kept.map(({ target, template }) => [target.destination, withheldOf(target, template.reads())])),
    async stop() {
      nudges.stop();
      alarm.cancel();
      await loop.stop();
      alarm.cancel();
      retry.cancel();
      await clearance.stop();
      await world.stop();
      await verdicts.written();
    },
  };
}
