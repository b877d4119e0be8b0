import { readFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { hasCode } from "../durable.ts";
import type { ConfigPaths } from "./config-paths.ts";
import { configSchema, type FileValues, templateSchema } from "./config-schema.ts";
import { type ConfigText, noConfigText, parseConfigText } from "./config-text.ts";
import { joinTexts, keyPath, type Place } from "./joined-texts.ts";
import type { TemplateEntry } from "./template-entry.ts";

/** A config file as read, or a folder of them: its values, or every mistake in it. */
export interface ConfigFile {
  /** Empty when there are mistakes. */
  readonly values: FileValues;
  /** `file:line:column: key.path: what is wrong`: what cannot be read, cannot be joined, is not right; in this order. */
  readonly mistakes: readonly string[];
  /** `file:line:column` of a key path, or of the nearest that is there; of a list that was joined, one for each file. */
  place(path: readonly PropertyKey[]): string;
  /** What stands at a key path, as text: a scalar as it is written, all else as JSON. */
  written(path: readonly PropertyKey[]): string;
  /** The sources of all templates as written, also where there are mistakes. */
  readonly templateSources: readonly string[];
  /** The templates with nothing wrong in themselves, with their places, also where there are mistakes. */
  readonly templates: readonly TemplateEntry[];
}

/** Reads and checks a configuration. Never rejects: a file that cannot be read is a mistake. */
export async function readConfigFile({ files, folder }: ConfigPaths, cwd: string): Promise<ConfigFile> {
  const titleOf = (path: string) => {
    const near = relative(cwd, path);
    return near.startsWith("..") || near === "" ? path : near;
  };
  const [first = folder ?? cwd] = files;
  const texts = await Promise.all(files.map((file) => readText(file, titleOf(file))));
  if (files.length > 0) return checked(texts, folder ?? dirname(first));
  const why = "there is no *.yaml, *.yml or *.json in it";
  return checked([noConfigText(titleOf(first), [`${titleOf(first)}: ${why}`])], first);
}

async function readText(file: string, title: string): Promise<ConfigText> {
  try {
    return parseConfigText(await readFile(file, "utf8"), title);
  } catch (error) {
    const why = hasCode(error, "ENOENT") ? "there is no such file" : String(error);
    return noConfigText(title, [`${title}: ${why}`]);
  }
}

/** Checks the text of a config file. `title` names it in messages; its paths are relative to `folder`. */
export function parseConfig(text: string, title: string, folder: string): ConfigFile {
  return checked([parseConfigText(text, title)], folder);
}

function checked(texts: readonly ConfigText[], folder: string): ConfigFile {
  const { raw, mistakes, places } = joinTexts(texts);
  const given = withoutEmpty(raw) ?? {};
  const result = configSchema(folder, (key) => Object.hasOwn(given, key)).safeParse(given);
  const found = (result.error?.issues ?? [])
    .flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key, index) => ({
            path: [...issue.path, key],
            message: issue.message.split("\n")[index] ?? issue.message,
          }))
        : [{ path: issue.path, message: issue.message }],
    )
    .flatMap(({ path, message }) =>
      places(path)
        .slice(0, 1)
        .map((place) => ({ path, message, place })),
    )
    .sort(
      ({ place: a }, { place: b }) => texts.indexOf(a.text) - texts.indexOf(b.text) || a.offset - b.offset,
    )
    .map(
      ({ path, message, place }) => `${at(place)}: ${path.length > 0 ? `${keyPath(path)}: ` : ""}${message}`,
    );
  const all = [...texts.flatMap((text) => text.mistakes), ...mistakes, ...found];
  return {
    values: all.length === 0 ? (result.data ?? {}) : {},
    mistakes: all,
    place: (path) => places(path).map(at).join(", "),
    written: (path) => {
      const value = valueAt(raw, path);
      return typeof value === "object" ? JSON.stringify(value) : String(value);
    },
    templateSources: sourcesOf(raw),
    templates: templatesIn(raw).flatMap((entry, index) => {
      const { data } = templateSchema(folder).safeParse(entry);
      const place = places(["templater", "templates", index]).map(at).join(", ");
      return data ? [{ ...data, place }] : [];
    }),
  };
}

const at = ({ text, offset }: Place) => text.at(offset);

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step], raw);
}

/** A section in which every line is commented out is as good as none. */
function withoutEmpty(raw: unknown): unknown {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
}

function templatesIn(raw: unknown): readonly unknown[] {
  const templates = (raw as { templater?: { templates?: unknown } } | null)?.templater?.templates;
  return Array.isArray(templates) ? templates : [];
}

function sourcesOf(raw: unknown): readonly string[] {
  return templatesIn(raw)
    .map((entry) => (entry as { source?: unknown } | null)?.source)
    .filter((s) => typeof s === "string");
}
