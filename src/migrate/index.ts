import { posix } from "node:path";
import { compare } from "../instance.ts";
import { findCommandLine } from "./command-line.ts";
import { confdLanguage, fromConfd, fromConfdLine } from "./confd.ts";
import { consulTemplateLanguage, fromConsulTemplate, fromConsulTemplateLine } from "./consul-template.ts";
import type { Language } from "./convert/expression.ts";
import { dockerGenLanguage, fromDockerGen, fromDockerGenLine } from "./docker-gen.ts";
import type { Files, Given, Migrated } from "./migrated.ts";
import type { Note } from "./note.ts";
import { templateName, turnFile } from "./template-file.ts";
import { together } from "./together.ts";

/** The programs whose configuration is turned. */
export const tools = ["consul-template", "confd", "docker-gen"] as const;
export type Tool = (typeof tools)[number];

/** `ends`: the names of its configurations. `backend`: what it asks where they name none. */
const byTool = {
  "consul-template": {
    config: fromConsulTemplate,
    line: fromConsulTemplateLine,
    language: () => consulTemplateLanguage,
    ends: /\.(hcl|json)$/,
    backend: "consul://127.0.0.1:8500",
  },
  confd: {
    config: fromConfd,
    line: fromConfdLine,
    language: (given: Given) => confdLanguage({ prefix: "", slash: true, services: given.services }),
    ends: /\.toml$/,
    backend: undefined,
  },
  "docker-gen": {
    config: fromDockerGen,
    line: fromDockerGenLine,
    language: () => dockerGenLanguage,
    ends: /\.(toml|cfg|conf)$/,
    backend: undefined,
  },
} as const;

/**
 * Turns files of one of the tools: configurations, templates, or files with a command line of the tool's. One that is
 * none of them is told. Throws, with its place and the parser's words, where all of them are.
 */
export function migrate(tool: Tool, all: readonly Given[], files: Files): Migrated {
  const migrated = together(all, (given) => turned(tool, given, files), tool);
  const { draft, notes } = migrated;
  const { backend } = byTool[tool];
  return {
    ...migrated,
    ...(draft && { draft: { ...(backend !== undefined && { backend }), ...draft } }),
    notes: inOrder(notes),
  };
}

/** The configurations in a folder, as the tool would read them; empty where there are none, and for a file. */
export function configurationsIn(tool: Tool, folder: string, files: Files): readonly string[] {
  const within = (path: string) => {
    const names = files.list(path).filter((name) => byTool[tool].ends.test(name));
    return [...names].sort(compare).map((name) => posix.join(path, name));
  };
  const direct = within(folder);
  if (tool !== "confd") return direct;
  // confd.toml brings the resources of conf.d along.
  const main = direct.filter((path) => posix.basename(path) === "confd.toml");
  const resources = main.length > 0 ? main : within(posix.join(folder, "conf.d"));
  return resources.length > 0 ? resources : direct;
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
  const { made = [] } = given;
  const target = templateName(name, new Set(made.map(({ path }) => path)));
  return { files: [...made, ...turnFile({ ...given, line: 1, language }, target, notes)], notes };
}
