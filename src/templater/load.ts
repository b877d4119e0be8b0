import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PortolanError } from "../errors.ts";
import { formatOf } from "./escape/format.ts";
import { compileTemplate, type Template } from "./render.ts";

/**
 * Reads and compiles a template together with the partials beside it: every other `*.hbs` of its folder, by its
 * name without endings. Dot files are left out: editors keep locks and copies there. Rejects with
 * TEMPLATE_MISSING or TEMPLATE; with the latter also where it reads the containers of this host, and nobody watches
 * them here.
 */
export async function loadTemplate(path: string, { inAgent = false } = {}): Promise<Template> {
  const text = await readTemplate(path);
  const folder = dirname(path);
  const names = (await readdir(folder))
    .filter((name) => /^[^.].*\.hbs$/.test(name) && name !== basename(path))
    .sort();
  const partials = new Map<string, { path: string; text: string }>();
  for (const name of names) {
    const file = join(folder, name);
    partials.set(name.replace(/\..*$/, ""), { path: file, text: await readTemplate(file) });
  }
  const template = compileTemplate({ path, text, partials, format: formatOf(path) });
  if (!inAgent && template.onlyInAgent.length > 0)
    throw new PortolanError("TEMPLATE", template.onlyInAgent.join("\n"));
  return template;
}

async function readTemplate(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const why = missing ? "there is no such file" : cause instanceof Error ? cause.message : String(cause);
    throw new PortolanError("TEMPLATE_MISSING", `template ${path}: ${why}`, { cause });
  }
}
