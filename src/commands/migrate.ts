import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { coded, PortolanError } from "../errors.ts";
import { migrate, type Tool, tools } from "../migrate/index.ts";
import type { Files, Given, Migrated, OutFile } from "../migrate/migrated.ts";
import type { Note } from "../migrate/note.ts";
import { portolanYaml } from "../migrate/portolan-yaml.ts";
import type { Context } from "./context.ts";
import { createWaitLine } from "./wait-line.ts";

/**
 * `portolan migrate`: prints our configuration, with the templates in comments below it, or just a template where one
 * was given; `--out` writes the files. What was not turned is told line by line.
 */
export async function runMigrate(context: Context): Promise<number> {
  const { settings, cwd, print, say } = context;
  const { tool, path } = wordsOf(settings.names);
  const { out, services } = settings.values;
  const line = createWaitLine(context);
  const migrated = await line.during(`turns ${path}`, async () =>
    turned(tool, { path, services }, cwd, (file) => line.at(`turns ${file}`)),
  );
  const files = filesOf(migrated, path);
  if (out !== undefined) await writeAll(files, out, cwd, print);
  else print(migrated.draft ? printed(files) : alone(files));
  for (const line of told(migrated.notes)) say(line);
  if (migrated.draft && out === undefined && migrated.files.length > 0) {
    say("--out DIR writes portolan.yaml and the templates");
  }
  return 0;
}

function wordsOf(names: readonly string[]): { readonly tool: Tool; readonly path: string } {
  const [word, path] = names;
  const tool = tools.find((name) => name === word);
  if (tool !== undefined && path !== undefined) return { tool, path };
  const known = tools.join(", ");
  const why =
    word !== undefined && tool === undefined
      ? `"${word}" is not one of ${known}`
      : `migrate needs one of ${known}, and a file`;
  throw new PortolanError("USAGE", `${why}; e.g. portolan migrate consul-template haproxy.hcl`);
}

/** `begins` is told of each file that is read, before it is turned. */
function turned(
  tool: Tool,
  { path, services }: Omit<Given, "text">,
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
  const text = files.read(path);
  if (text === undefined)
    throw new PortolanError("USAGE", `${path} cannot be read; give a file that there is`);
  try {
    return migrate(tool, { path, text, services }, files);
  } catch (error) {
    const line = (error as { readonly line?: unknown }).line;
    const place = typeof line === "number" ? `${path}:${line}` : path;
    throw coded("FAILED", error, `${place}: neither a configuration nor a template of ${tool}: `);
  }
}

/** Every file that there is to write, the configuration first. */
function filesOf({ draft, files, notes }: Migrated, path: string): readonly OutFile[] {
  return draft === undefined
    ? files
    : [{ path: "portolan.yaml", text: portolanYaml(draft, notes, path) }, ...files];
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
