import { dirname } from "node:path";
import { deadline } from "../clock.ts";
import { stateFolders } from "../config/state-folder.ts";
import { PortolanError } from "../errors.ts";
import { readHolder, readNote } from "../state-dir.ts";
import { askStatus } from "../status/ask.ts";
import type { Context } from "./context.ts";

/** ms that a process has to answer. */
const patience = 3_000;

/** A process of Portolan that runs on this host, as its state folder tells. */
export interface Running {
  readonly folder: string;
  readonly pid: number;
  /** `HOST:PORT`, or `off`; undefined while it starts. */
  readonly listen: string | undefined;
}

/**
 * `portolan healthcheck`: asks each registrator, templater and agent of this host for its `/healthz`. Resolves with 0
 * when all of them answer 200, else with 1.
 */
export async function runHealthcheck({ settings, env, print, stop }: Context): Promise<number> {
  const { stateDir } = settings.values;
  const folders = stateDir === undefined ? stateFolders(env) : [stateDir];
  const all = await runningIn(folders);
  if (all.length === 0) throw noneRuns(stateDir, folders);
  const wrong: string[] = [];
  for (const running of all) {
    const problem = await problemOf(running, stop);
    if (problem !== undefined) wrong.push(`process ${running.pid} (${running.folder}): ${problem}`);
  }
  if (wrong.length > 0) throw new PortolanError("FAILED", wrong.join("; "));
  print("ok\n");
  return 0;
}

/** What is said when no process holds the folder that was given, or one of these. */
export function noneRuns(given: string | undefined, folders: readonly string[]): PortolanError {
  const parents = [...new Set(folders.map(dirname))].join(" or ");
  const found =
    given === undefined
      ? `no registrator, templater or agent runs with a state folder in ${parents}`
      : `no process of Portolan runs with ${given}`;
  const wayOut = "start one, or name the folder of one that runs with --state-dir";
  return new PortolanError("FAILED", `${found}; ${wayOut}`);
}

/** The processes that hold one of these state folders. */
export async function runningIn(folders: readonly string[]): Promise<readonly Running[]> {
  const all: Running[] = [];
  for (const folder of folders) {
    const pid = await readHolder(folder);
    if (pid === undefined) continue;
    const listen = (await readNote(folder, "listen"))?.trim();
    all.push({ folder, pid, listen });
  }
  return all;
}

async function problemOf({ listen }: Running, stop: AbortSignal): Promise<string | undefined> {
  if (listen === undefined) return "it is still starting";
  if (listen === "off")
    return "it serves no status pages, so nobody can ask it; start it without --listen off";
  try {
    const { status, body } = await askStatus(listen, "/healthz", deadline(patience, stop));
    return status === 200 ? undefined : `http://${listen}/healthz answered ${status}: ${body.trim()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
