import { compare } from "../instance.ts";
import { findCommandLine } from "./command-line.ts";
import { confdLanguage, fromConfd, fromConfdLine } from "./confd.ts";
import { consulTemplateLanguage, fromConsulTemplate, fromConsulTemplateLine } from "./consul-template.ts";
import type { Language } from "./convert/expression.ts";
import { dockerGenLanguage, fromDockerGen, fromDockerGenLine } from "./docker-gen.ts";
import type { Files, Given, Migrated } from "./migrated.ts";
import type { Note } from "./note.ts";
import { templateName, turnFile } from "./template-file.ts";

/** The programs whose configuration is turned. */
export const tools = ["consul-template", "confd", "docker-gen"] as const;
export type Tool = (typeof tools)[number];

const byTool = {
  "consul-template": {
    config: fromConsulTemplate,
    line: fromConsulTemplateLine,
    language: () => consulTemplateLanguage,
    ends: /\.(hcl|json)$/,
  },
  confd: {
    config: fromConfd,
    line: fromConfdLine,
    language: (given: Given) => confdLanguage({ prefix: "", slash: true, services: given.services }),
    ends: /\.toml$/,
  },
  "docker-gen": {
    config: fromDockerGen,
    line: fromDockerGenLine,
    language: () => dockerGenLanguage,
    ends: /\.(toml|cfg|conf)$/,
  },
} as const;

/**
 * Turns a file of one of the tools: a configuration, a template, or a file with a command line of the tool's. Throws an
 * error with the parser's words where it is none of them.
 */
export function migrate(tool: Tool, given: Given, files: Files): Migrated {
  const migrated = turned(tool, given, files);
  return { ...migrated, notes: inOrder(migrated.notes) };
}

/** By file and line. */
function inOrder(notes: readonly Note[]): readonly Note[] {
  const place = ({ at }: Note) => ({
    path: at.replace(/:\d+$/, ""),
    line: Number(/\d+$/.exec(at)?.[0] ?? 0),
  });
  return [...notes].sort((a, b) => {
    const [x, y] = [place(a), place(b)];
    return compare(x.path, y.path) || x.line - y.line;
  });
}

function turned(tool: Tool, given: Given, files: Files): Migrated {
  const { config, line, language, ends } = byTool[tool];
  if (/\.(ctmpl|tmpl|tpl)$/.test(given.path)) return template(given, language(given));
  const called = ends.test(given.path) ? undefined : findCommandLine(given.text, tool);
  if (called !== undefined) return line(called, given, files);
  try {
    return config(given, files);
  } catch (error) {
    if (!ends.test(given.path) && given.text.includes("{{")) return template(given, language(given));
    throw error;
  }
}

function template(given: Given, language: Language): Migrated {
  const notes: Note[] = [];
  const name = given.path.replace(/^.*\//, "").replace(/\.(ctmpl|tmpl|tpl)$/, "");
  const files = turnFile({ ...given, line: 1, language }, templateName(name, new Set()), notes);
  return { files, notes };
}
