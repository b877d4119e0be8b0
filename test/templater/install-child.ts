// A templater that installs one version after the other until it is killed; driven by install-crash.test.ts.
import { text } from "node:stream/consumers";
import { openStateDir } from "../../src/state-dir.ts";
import { install } from "../../src/templater/install.ts";
import { openRecords } from "../../src/templater/records.ts";
import type { Target } from "../../src/templater/target.ts";

/** What the child is told, as JSON on its standard input, once it is up. */
export interface ChildTask {
  readonly target: Target;
  readonly stateDir: string;
  /** The contents, in turn. */
  readonly texts: readonly string[];
  /** How many installs it makes when nobody kills it. */
  readonly count: number;
}

const { target, stateDir, texts, count } = JSON.parse(await text(process.stdin)) as ChildTask;
const state = await openStateDir(stateDir);
const records = await openRecords(state);
const turn = { signal: new AbortController().signal, settled: async () => true };
const first = Math.floor(Math.random() * texts.length);
console.log("ready");
for (let i = first; i < first + count; i++) {
  const log = { warn: (fields: object, message: string) => console.error(fields, message) };
  await install({
    files: [{ text: texts[i % texts.length] ?? "", target }],
    turn,
    records,
    revision: i,
    changed: [],
    env: process.env,
    log,
  });
}
await state.close();
