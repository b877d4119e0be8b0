import { basename, resolve } from "node:path";
import { templaterStateFolder } from "../config/state-folder.ts";
import { type Entry, readJournal } from "../templater/journal.ts";
import type { Context } from "./context.ts";
import { journalText } from "./journal-text.ts";

/** `portolan journal`: what the templater did, the newest last. Reads the state folder only. */
export async function runJournal({ settings, env, cwd, print, say }: Context): Promise<number> {
  const { stateDir, json, diff } = settings.values;
  const [target] = settings.names;
  const folder = stateDir ?? (await templaterStateFolder(env));
  const entries = await readJournal(folder);
  const shown = entries.filter(({ targets }) => target === undefined || isAbout(targets, target, cwd));
  if (json) print(shown.length === 0 ? "[]\n" : `[\n${shown.map(asJson).join(",\n")}\n]\n`);
  else if (shown.length > 0) print(journalText(shown, diff));
  else if (entries.length === 0) say(`no changes in ${folder}; --state-dir names another state folder`);
  else say(`no changes of ${target}; there are some of ${targetsIn(entries).join(", ")}`);
  return 0;
}

/** A target is named by its destination, or by that one's last part. */
function isAbout(targets: readonly string[], name: string, cwd: string): boolean {
  return targets.some((destination) => destination === resolve(cwd, name) || basename(destination) === name);
}

function targetsIn(entries: readonly Entry[]): readonly string[] {
  return [...new Set(entries.flatMap(({ targets }) => targets))].sort();
}

const asJson = (entry: Entry) => JSON.stringify(entry);
