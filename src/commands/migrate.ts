import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { coded, PortolanError } from "../errors.ts";
import { configurationsIn, migrate, type Tool, tools } from "../migrate/index.ts";
import type { Files, Given, Migrated, OutFile } from "../migrate/migrated.ts";
import type { Note } from "../migrate/note.ts";
import { portolanYaml } from "../migrate/portolan-yaml.ts";
import type { Context } from "./context.ts";
import { listed } from "./progress.ts";
import { createWaitLine } from "./wait-line.ts";

/**
 * `portolan migrate`: prints one configuration of ours for all files that are given, with the templates in comments
 * below it, or just templates where nothing else was given; `--out` writes the files. What was not turned is told line
 * by line.
 */
export async function runMigrate(context: Context): Promise<number> {
  const { settings, cwd, print, say } = context;
  const { tool, paths } = wordsOf(settings.names);
  const { out, services } = settings.values;
  const from = listed(paths);
  const line = createWaitLine(context);
  const migrated = await line.during(`turns ${from}`, async () =>
    turned(tool, { paths, services }, cwd, (file) => line.at(`turns ${file}`)),
  );
  const files = filesOf(migrated, from);
  if (out !== undefined) await writeAll(files, out, cwd, print);
  else print(migrated.draft ? printed(files) : alone(files));
  for (const line of told(migrated.notes)) say(line);
  if (migrated.draft && out === undefined && migrated.files.length > 0) {
    say("--out DIR writes portolan.yaml and the templates");
  }
  return 0;
}

function wordsOf(names: readonly string[]): { readonly tool: Tool; readonly paths: readonly string[] } {
  const [word, ...paths] = names;
  const tool = tools.find((name) => name === word);
  if (tool !== undefined && paths.length > 0) return { tool, paths };
  const known = tools.join(", ");
  const why =
    word !== undefined && tool === undefined
      ? `"${word}" is not one of ${known}`
      : `migrate needs one of ${known}, and files or a folder`;
  throw new PortolanError("USAGE", `${why}; e.g. portolan migrate consul-template haproxy.hcl`);
}

/** `begins` is told of each file that is read, before it is turned. */
function turned(
  tool: Tool,
  { paths, services }: { readonly paths: readonly string[]; readonly services: string | undefined },
  cwd: string,
  begins: (file: string) => void,
): Migrated {
  const files: Files = {
    read(name) {
      begins(name);
      try {
        return readFileSync(resolve(cwd, name), "utf8");
      } catch {
        return undefined;
      }
    },
    list(folder) {
      try {
        return readdirSync(resolve(cwd, folder));
      } catch {
        return [];
      }
    },
  };
  const all = paths.flatMap((path) => {
    const inFolder = configurationsIn(tool, path, files);
    return inFolder.length > 0 ? inFolder : [path];
  });
  const given = all.map((path): Given => {
    const text = files.read(path);
    if (text !== undefined) return { path, text, services };
    const wayOut = `give a file that there is, or a folder with configurations of ${tool}`;
    throw new PortolanError("USAGE", `${path} cannot be read; ${wayOut}`);
  });
  try {
    return migrate(tool, given, files);
  } catch (error) {
    throw coded("FAILED", error);
  }
}

/** Every file that there is to write, the configuration first. */
function filesOf({ draft, files, notes }: Migrated, from: string): readonly OutFile[] {
  return draft === undefined
    ? files
    : [{ path: "portolan.yaml", text: portolanYaml(draft, notes, from) }, ...files];
}

/** A configuration that can be used as it is printed: the templates stand in comments. */
function printed([config, ...templates]: readonly OutFile[]): string {
  const shown = templates.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, "").split("\n");
    return ["", `# ==> ${path} <==`, ...lines.map((line) => `#   ${line}`.trimEnd())];
  });
  return `${config?.text ?? ""}${shown.map((line) => `${line}\n`).join("")}`;
}

function alone(files: readonly OutFile[]): string {
  if (files.length < 2) return files[0]?.text ?? "";
  return files.map(({ path, text }) => `==> ${path} <==\n${text}\n`).join("\n");
}

async function writeAll(
  files: readonly OutFile[],
  out: string,
  cwd: string,
  print: Context["print"],
): Promise<void> {
  for (const { path, text } of files) {
    const place = join(out, path);
    try {
      await mkdir(dirname(place), { recursive: true });
      // Nobody's work is replaced.
      await writeFile(place, text, { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw coded("FAILED", error);
      throw new PortolanError("USAGE", `${place} exists already; move it away, or give another --out`);
    }
    const near = relative(cwd, place);
    print(`${near.startsWith("..") ? place : near}\n`);
  }
}

const kinds: Readonly<Record<Note["kind"], string>> = {
  missing: "not turned",
  different: "look at",
  dropped: "not needed",
};

/** The notes, what is missing first. */
function told(notes: readonly Note[]): readonly string[] {
  return (Object.keys(kinds) as Note["kind"][]).flatMap((kind) =>
    notes
      .filter((note) => note.kind === kind)
      .map(({ at, what, why }) => `${kinds[kind]}: ${at}: ${what}: ${why}`),
  );
}
