import { basename, dirname, resolve } from "node:path";
import { deadline, pause } from "../clock.ts";
import { templaterStateFolder } from "../config/state-folder.ts";
import { PortolanError } from "../errors.ts";
import { openStateDir, type StateDir } from "../state-dir.ts";
import { openBackups } from "../templater/backups.ts";
import { readLive } from "../templater/destination.ts";
import { isFileOf } from "../templater/each.ts";
import { sha256 } from "../templater/hash.ts";
import { install } from "../templater/install.ts";
import { type Entry, readJournal } from "../templater/journal.ts";
import { createKnownSecrets, type KnownSecrets } from "../templater/known-secrets.ts";
import { loadTemplate } from "../templater/load.ts";
import { openOwnedFiles } from "../templater/owned-files.ts";
import { readPin, removePin, writePin } from "../templater/pins.ts";
import { openRecords } from "../templater/records.ts";
import { rollbackCause, type StepBack, stepBack } from "../templater/step-back.ts";
import type { Target } from "../templater/target.ts";
import { createUnitFiles } from "../templater/unit-files.ts";
import { createVerdicts } from "../templater/verdicts.ts";
import type { Context } from "./context.ts";
import { listed } from "./progress.ts";
import { createWaitLine } from "./wait-line.ts";

/** ms that a running templater has to do it: a check, a swap and a reload, each with its own timeout. */
const patience = 120_000;

/** ms between two looks at the journal. */
const interval = 100;

/** `portolan rollback TARGET`: by the templater that runs, else by itself. */
export async function runRollback(context: Context): Promise<number> {
  const { settings, env, print } = context;
  const targets = unitOf(context);
  const destinations = targets.map(({ destination }) => destination);
  const folder = settings.values.stateDir ?? (await templaterStateFolder(env));
  const pin = await readPin(folder, destinations);
  const names = destinations.join(", ");
  if (settings.values.release) {
    if (pin === undefined) throw new PortolanError("FAILED", `${names}: there is no rollback to end`);
    await removePin(folder, destinations);
    print(`${names}: rendered again from now on\n`);
    return 0;
  }

  const { entries, live } = await readState(folder, targets);
  const step = stepBack(entries, targets, live, pin);
  if (step === undefined) {
    const why = pin === undefined ? "has no earlier file" : `has no file before change ${pin.change}`;
    throw new PortolanError("FAILED", `${names}: the journal in ${folder} ${why}`);
  }
  await assertKept(folder, step);
  await writePin(folder, step.pin);
  try {
    await putBack(context, folder, targets, step, entries.at(-1)?.number ?? 0);
  } catch (error) {
    // Nothing is held at what could not be put back.
    if (pin) await writePin(folder, pin);
    else await removePin(folder, destinations);
    throw error;
  }
  const { number, at, cause } = step.change;
  print(
    `${names}: as it was before change ${number} (${at}, for ${cause.join(", ")}); it stays until \`portolan rollback ${basename(destinations[0] ?? "")} --release\`\n`,
  );
  return 0;
}

/** The target that is named, with all of its group. */
function unitOf({ settings, cwd }: Context): readonly Target[] {
  const [name] = settings.names;
  const { targets } = settings;
  const known = targets.map(({ destination }) => destination).join(", ");
  if (name === undefined) throw new PortolanError("USAGE", `give a target: one of ${known}`);
  const path = resolve(cwd, name);
  const exact = targets.filter(
    (target) =>
      target.destination === path ||
      target.group === name ||
      (target.forEach !== undefined && isFileOf(target, path)),
  );
  const found = exact.length > 0 ? exact : targets.filter((target) => basename(target.destination) === name);
  const units = new Set(found.map((target) => target.group ?? target));
  if (units.size > 1) {
    throw new PortolanError("USAGE", `"${name}" is several targets; give the whole path: one of ${known}`);
  }
  const [first] = found;
  if (first === undefined) throw new PortolanError("USAGE", `no target "${name}"; there are ${known}`);
  return first.group === undefined ? [first] : targets.filter(({ group }) => group === first.group);
}

/** ms for what has just been swapped to stand in the journal. */
const writing = 2_000;

/** The journal, and what the files hold (SHA-256, hex): of one moment, unless somebody else has written. */
async function readState(folder: string, targets: readonly Target[]) {
  const limit = deadline(writing);
  for (;;) {
    const live: Record<string, string> = {};
    const destinations = (await Promise.all(targets.map(filesOf))).flat();
    for (const destination of destinations) {
      const { file } = await readLive(destination);
      if (file) live[destination] = sha256(file.bytes);
    }
    const entries = await readJournal(folder);
    const isTold = destinations.every((name) => {
      const files = entries.findLast(
        ({ verdict, files: all }) =>
          verdict !== "rejected" && all.some(({ destination }) => destination === name),
      )?.files;
      return (
        files === undefined ||
        files.some(({ destination, after }) => destination === name && after === (live[name] ?? null))
      );
    });
    if (isTold || limit.aborted) return { entries, live };
    await pause(interval, limit);
  }
}

/** Where the files of a target are. */
async function filesOf(target: Target): Promise<readonly string[]> {
  return target.forEach === undefined ? [target.destination] : [...(await openOwnedFiles(target).read())];
}

/** Says beforehand what is not there any more. */
async function assertKept(folder: string, { pin, change }: StepBack): Promise<void> {
  const backups = openBackups({ path: folder });
  for (const [destination, hash] of Object.entries(pin.files)) {
    if (hash === null || (await backups.find(destination, hash)) !== undefined) continue;
    const why = `what it held before change ${change.number} is not kept any more`;
    throw new PortolanError("FAILED", `${destination}: ${why}; \`backups\` says how many files are`);
  }
}

async function putBack(
  context: Context,
  folder: string,
  targets: readonly Target[],
  step: StepBack,
  last: number,
): Promise<void> {
  const line = createWaitLine(context);
  const names = listed(step.pin.targets.map((target) => basename(target)));
  let state: StateDir;
  try {
    state = await openStateDir(folder);
  } catch (error) {
    if (!(error instanceof PortolanError) || error.code !== "STATE_LOCKED") throw error;
    const told = () => verdictOf(folder, step, last, context.stop);
    return done(await line.during(`waits for the templater to put ${names} back`, told), context);
  }
  try {
    await line.during(`checks and reloads ${names}`, () => putBackHere(line.context, state, targets, step));
  } finally {
    await state.close();
  }
}

/** What the running templater says of it. */
async function verdictOf(folder: string, { pin }: StepBack, last: number, stop: AbortSignal): Promise<Entry> {
  const limit = deadline(patience, stop);
  for (;;) {
    const entry = (await readJournal(folder)).find(
      ({ number, cause, targets }) =>
        number > last && cause.includes(rollbackCause) && targets.join() === pin.targets.join(),
    );
    if (entry) return entry;
    if (limit.aborted) {
      const why = stop.aborted ? "interrupted" : `the templater did not do it within ${patience / 1000} s`;
      throw new PortolanError("FAILED", `${pin.targets.join(", ")}: ${why}; its log says why`);
    }
    await pause(interval, limit);
  }
}

function done({ verdict, why }: Pick<Entry, "verdict" | "why">, { say }: Context): void {
  if (verdict === "rejected" || verdict === "held") throw new PortolanError("FAILED", why ?? verdict);
  if (verdict === "owed") say(`the proxy has still to take it: ${why}`);
}

/** Nothing is rendered here: what the templates could have read is what they name. */
async function secretsOf(targets: readonly Target[], env: Context["env"]): Promise<KnownSecrets> {
  const secrets = createKnownSecrets(env);
  for (const { source } of targets) {
    const template = await loadTemplate(source, { inAgent: true }).catch(() => undefined);
    for (const literal of template?.literals ?? []) secrets.file(resolve(dirname(source), literal));
  }
  return secrets;
}

/** No templater runs: the same install, in this process. */
async function putBackHere(
  context: Context,
  state: StateDir,
  targets: readonly Target[],
  { pin }: StepBack,
): Promise<void> {
  const records = await openRecords(state);
  const secrets = await secretsOf(targets, context.env);
  const verdicts = createVerdicts(pin.targets, async () => records.journal, context.log, {
    shown: secrets.maskDiff,
  });
  verdicts.because(rollbackCause);
  const unit = createUnitFiles(targets, context.log);
  const files = await unit.rolledBack(pin, records.backups);
  try {
    const { verdict, by, owed, took } = await install({
      files,
      turn: { signal: context.stop, settled: async () => true },
      records,
      revision: 1,
      changed: [],
      env: context.env,
      log: context.log,
      swapping: () => unit.claim(files),
      swapped: verdicts.swapped,
    });
    if (verdict === "superseded") throw new PortolanError("ABORTED", "interrupted");
    await unit.settle(files);
    verdicts.tell(verdict, { by, why: owed?.reason, tookMs: took });
    done({ verdict, why: owed?.reason }, context);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    verdicts.tell("rejected", { why });
    throw error;
  } finally {
    await verdicts.written();
  }
}
