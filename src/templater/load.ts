import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { PortolanError } from "../errors.ts";
import { type Format, formatOf } from "./escape/format.ts";
import { compileTemplate, type Template, type TemplateSource } from "./render.ts";

/** How a template is read. */
interface LoadOptions {
  /** Whether the containers of this host can be read. */
  readonly inAgent?: boolean;
  /** Absent: what the file name says. */
  readonly format?: Format | undefined;
}

/**
 * Reads and compiles a template together with the partials beside it: every other `*.hbs` of its folder, by its
 * name without endings. Dot files are left out: editors keep locks and copies there. Rejects with
 * TEMPLATE_MISSING or TEMPLATE; with the latter also where it reads the containers of this host, and nobody watches
 * them here.
 */
export function loadTemplate(path: string, options: LoadOptions = {}): Promise<Template> {
  return templateLoader(path, options)();
}

/**
 * Loads one template again and again, as `loadTemplate` does. As long as its texts stay the same it is the same
 * object: compiling it takes longer than all else at a start, and it is asked for until it has rendered once.
 */
export function templateLoader(
  path: string,
  { inAgent = false, format = formatOf(path) }: LoadOptions,
): () => Promise<Template> {
  let last: { readonly source: TemplateSource; readonly template: Template } | undefined;
  return async () => {
    const source = { ...(await readSource(path)), format };
    if (last !== undefined && isDeepStrictEqual(last.source, source)) return last.template;
    const template = compileTemplate(source);
    if (!inAgent && template.onlyInAgent.length > 0)
      throw new PortolanError("TEMPLATE", template.onlyInAgent.join("\n"));
    last = { source, template };
    return template;
  };
}

async function readSource(path: string): Promise<Omit<TemplateSource, "format">> {
  const text = await readTemplate(path);
  const folder = dirname(path);
  const names = (await readdir(folder))
    .filter((name) => /^[^.].*\.hbs$/.test(name) && name !== basename(path))
    .sort();
  const partials = await Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      return [name.replace(/\..*$/, ""), { path: file, text: await readTemplate(file) }] as const;
    }),
  );
  return { path, text, partials: new Map(partials) };
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
