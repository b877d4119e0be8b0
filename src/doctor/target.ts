import { readFile } from "node:fs/promises";
import { failureOf, runCommand } from "../run-command.ts";
import { withSource } from "../templater/check.ts";
import { commandEnvironment } from "../templater/command-environment.ts";
import { confine } from "../templater/confine.ts";
import { type Live, readLive } from "../templater/destination.ts";
import { placeholder } from "../templater/each.ts";
import { loadTemplate } from "../templater/load.ts";
import { stage } from "../templater/stage.ts";
import type { Target } from "../templater/target.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";
import { isProgram, missing } from "./program.ts";
import { type Asking, lookAtReload } from "./reload.ts";

/** The template, the file, its check and its reload, all as far as they can be tried while nothing changes. */
export async function lookAtTarget(target: Target, asking: Asking): Promise<readonly Finding[]> {
  const { destination } = target;
  const all = [await templateFinding(target)];
  // A file of a service that nobody has: what holds for it holds for all of them.
  const file = { ...target, destination: destination.replace(placeholder, "portolan-doctor") };
  try {
    const live = await readLive(file.destination);
    all.push(await placeFinding(file, live), await checkFinding(file, live, asking));
  } catch (error) {
    all.push(troubleOf(destination, "wrong", error, "the file is never written"));
  }
  all.push(await lookAtReload(target, asking));
  return all.map((finding) => ({ ...finding, about: destination }));
}

async function templateFinding({ source, destination }: Target): Promise<Finding> {
  try {
    await loadTemplate(source, { inAgent: true });
    return ok(destination, `template ${source} can be read`);
  } catch (error) {
    return troubleOf(destination, "wrong", error, "the file is never rendered");
  }
}

/** Stages a file beside the live one, as the templater does before each change. */
async function placeFinding(target: Target, live: Live): Promise<Finding> {
  const { destination } = target;
  try {
    await confine(target, live.path);
    const staged = await stage(live.file?.bytes ?? Buffer.alloc(0), target, live);
    await staged.remove();
  } catch (error) {
    return troubleOf(destination, "wrong", error, "the file is never written");
  }
  if (await isMount(live.path)) {
    return {
      about: destination,
      level: "warning",
      found: "it is a mount of its own and cannot be replaced, only overwritten",
      means: "a reader may see half of a file",
      wayOut: "mount its folder instead of the file",
    };
  }
  return ok(destination, live.file ? "can be replaced in one step" : "is not there yet, and can be written");
}

async function isMount(path: string): Promise<boolean> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8").catch(() => "")).split("\n");
  const points = lines.map((line) => line.split(" ")[4] ?? "");
  // Blanks and the like are written in octal there.
  return points.some((point) => point.replace(/\\(\d{3})/g, (_, digits) => octal(digits)) === path);
}

const octal = (digits: string) => String.fromCharCode(Number.parseInt(digits, 8));

/** Runs the check on the live file, where there is one. */
async function checkFinding(target: Target, { path, file }: Live, asking: Asking): Promise<Finding> {
  const { destination, check, commandTimeout: timeout } = target;
  const means = "no new file is ever taken";
  if (check === undefined) return ok(destination, "nothing checks it before it counts (`check` is not set)");
  if (file === undefined) {
    const [program] = "argv" in check ? check.argv : ["/bin/sh"];
    if (program !== undefined && (await isProgram(program, asking.env.PATH)))
      return ok(destination, `its check can be started (${program}); there is no file yet to try it on`);
    return missing(destination, program ?? "", means);
  }
  const env = commandEnvironment({ env: asking.env, revision: 0, changed: [] }, target);
  const command = withSource(check, path);
  const ended = await runCommand(command, { timeout, env, signal: asking.stop });
  const failure = failureOf(command, ended, timeout);
  if (failure === undefined) return ok(destination, "passes its check as it is now");
  if (ended.code === 126 || ended.code === 127) return troubleOf(destination, "wrong", failure, means);
  return troubleOf(
    destination,
    "warning",
    `its check fails on the file as it is now: ${failure}`,
    "the next file may fail as well, and then this one stays",
    "run the check by hand",
  );
}
