// The bare programs: `node main.js registrator|templater|agent JSON`. Writes `ready` when it works.
import { writeFileSync } from "node:fs";
import type { Close, FloorOptions } from "./settings.ts";

/** Each loads only what it uses. */
const programs: Readonly<Record<string, () => Promise<(options: FloorOptions) => Promise<Close>>>> = {
  registrator: async () => (await import("./registrator.ts")).runRegistrator,
  templater: async () => (await import("./templater.ts")).runTemplater,
  agent: async () => (await import("./agent.ts")).runAgent,
};

const [program = "", json = "{}"] = process.argv.slice(2);
const options = JSON.parse(json) as FloorOptions;
const load = programs[program];
if (!load) throw new Error(`${program}: no such floor`);
const close = await (await load())(options);
process.on("SIGTERM", () => void close().finally(() => process.exit(0)));
writeFileSync(options.ready, "");
