import { parseBackendUrl } from "../backends/url.ts";
import { columns, defaultOf } from "../config/help.ts";
import { type OptionName, optionsOf } from "../config/options.ts";
import type { Settings } from "../config/settings.ts";
import type { Context } from "./context.ts";

/** `portolan config show [COMMAND]`: each value in force for that command, and where it comes from. */
export async function runConfigShow({ command, settings, print }: Context): Promise<number> {
  const rows = optionsOf(command)
    .filter(([name, { ignored, effective }]) => {
      return name !== "config" && !ignored && (effective?.includes(command) ?? true);
    })
    .flatMap(([name, option]): readonly (readonly string[])[] => {
      const said = settings.said.get(name);
      const key = option.key ?? name;
      if (said && name === "template") return templateRows(key, settings, said.label);
      if (said) return [[key, said.texts.map((text) => shown(name, text)).join(" "), said.label]];
      const fallback = option.kind === "switch" ? "false" : defaultOf(command, option);
      return [[key, fallback ?? "-", "default"]];
    });
  const { files = [] } = settings.config ?? {};
  const what = files.length > 1 ? "config files" : "config file";
  const head = `portolan ${command}, ${what}: ${files.join(", ") || "none"}`;
  print(`${[head, ...columns(rows)].join("\n")}\n`);
  return 0;
}

function templateRows(key: string, { values }: Settings, label: string): readonly (readonly string[])[] {
  return values.template.map(({ source, destination, place }) => [
    key,
    `${source} -> ${destination}`,
    place ?? label,
  ]);
}

/** A URL may hold what is not for everybody. */
function shown(name: OptionName, text: string): string {
  return name === "backend" ? parseBackendUrl(text).title : text.replace(/(:\/\/)[^/@\s]*@/g, "$1***@");
}
