import { relative, resolve } from "node:path";
import { type Mistake, MistakesError } from "../config/mistake.ts";
import { coded } from "../errors.ts";
import { loadTemplate } from "../templater/load.ts";
import type { Context } from "./context.ts";

/**
 * `portolan check`: every mistake of the configuration and the templates; asks no backend. Which command the
 * configuration is for does not stand in it, so what only `agent` can do is remarked and no mistake.
 */
export async function runCheck({ settings, cwd, print, say }: Context): Promise<number> {
  const { config, values, templateSources } = settings;
  const sources = [
    ...new Set([...values.template.map(({ source }) => resolve(cwd, source)), ...templateSources]),
  ];
  const templates = await Promise.all(sources.map((source) => templateMistakes(source, say)));
  const mistakes = [...settings.mistakes, ...templates.flat()];
  if (mistakes.length === 0 && config === undefined && sources.length === 0) {
    const text = "nothing to check: there is no portolan.yaml here, and neither -c nor -t is given";
    mistakes.push({ code: "USAGE", text });
  }
  if (mistakes.length > 0) throw new MistakesError(mistakes);
  for (const path of [...(config?.files ?? []), ...sources]) {
    const near = relative(cwd, path);
    print(`${near.startsWith("..") ? path : near}: ok\n`);
  }
  return 0;
}

async function templateMistakes(source: string, say: Context["say"]): Promise<readonly Mistake[]> {
  try {
    const { onlyInAgent } = await loadTemplate(source, { inAgent: true });
    for (const remark of onlyInAgent) say(`portolan: ${remark}`);
    return [];
  } catch (error) {
    const { code, message } = coded("TEMPLATE", error);
    return message.split("\n").map((text) => ({ code, text }));
  }
}
