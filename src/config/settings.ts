import { access } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { PortolanError } from "../errors.ts";
import type { Target } from "../templater/target.ts";
import type { Arguments } from "./arguments.ts";
import { backendMistakes, sortPositionals } from "./backend-choice.ts";
import type { CommandName } from "./command-name.ts";
import type { ConfigFile } from "./config-file.ts";
import { type ConfigPaths, configPaths } from "./config-paths.ts";
import { whyUnguarded } from "./listen-address.ts";
import type { Mistake } from "./mistake.ts";
import {
  keyPaths,
  longName,
  type Option,
  type OptionName,
  options,
  optionsOf,
  type Values,
  variableName,
} from "./options.ts";
import { phraseMistakes } from "./phrases.ts";
import { targetsOf, templateMistakes } from "./targets.ts";
import type { TemplateEntry } from "./template-entry.ts";

/** Where a value came from, the strongest first. */
export type Origin = "flag" | "environment" | "file" | "default";

/** The process environment. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Everything that a command was told, from all sides. */
export interface Settings {
  readonly values: Values;
  readonly origins: Readonly<Record<OptionName, Origin>>;
  /** What was said of the options for which the default does not count. */
  readonly said: ReadonlyMap<OptionName, Said>;
  /** What stands alone on the command line and is no backend. */
  readonly names: readonly string[];
  /** What stands after `--`: a command line to run. */
  readonly commandLine: readonly string[];
  readonly targets: readonly Target[];
  /** The config file, or the files of the folder that was given; undefined when there is none. */
  readonly config: ConfigPaths | undefined;
  /** Absolute paths of the templates that the config file names, also when it holds mistakes. */
  readonly templateSources: readonly string[];
  /** Every mistake in the command line, the environment and the config file. */
  readonly mistakes: readonly Mistake[];
  /** What is odd but no mistake. */
  readonly warnings: readonly string[];
  /** What was accepted and has no effect. */
  readonly ignored: readonly string[];
}

/** What one side says about an option. */
export interface Said {
  readonly origin: Origin;
  /** How the user knows it: `--ttl`, `PORTOLAN_TTL`, `portolan.yaml:3:5`. */
  readonly label: string;
  readonly texts: readonly string[];
}

/**
 * Puts together what the command line, the environment and the config file say: the first of them that
 * speaks counts. Never rejects for what a user wrote: that is in `mistakes`.
 */
export async function readSettings(
  given: Arguments & { readonly command: CommandName },
  env: Env,
  cwd: string,
): Promise<Settings> {
  const { command } = given;
  const positionals = sortPositionals(command, given.positionals);
  const mistakes: Mistake[] = given.mistakes.map((text) => ({ code: "USAGE", text }));
  mistakes.push(...positionals.mistakes);
  const values: Partial<Record<OptionName, unknown>> = {};
  const origins: Partial<Record<OptionName, Origin>> = {};

  const unclear = new Set<OptionName>();
  const counted = new Map<OptionName, Said>();

  const parse = (name: OptionName, { label, texts }: Said): unknown => {
    const option: Option<unknown> = options[name];
    const parsed = texts.flatMap((text): unknown[] => {
      try {
        return [option.parse(text)];
      } catch (error) {
        if (!(error instanceof PortolanError)) throw error;
        unclear.add(name);
        mistakes.push({ code: error.code, text: `${label}: ${error.message}` });
        return [];
      }
    });
    if (unclear.has(name)) return option.initial;
    const whole = (value: unknown) => (option.path ? resolve(cwd, String(value)) : value);
    return option.kind === "list" ? parsed.flat().map(whole) : whole(parsed.at(-1));
  };
  const said = (name: OptionName, option: Option<unknown>): Said | undefined => {
    const flags = given.flags.get(name);
    if (flags) return { origin: "flag", label: `--${longName(name)}`, texts: flags };
    if (name === "backend" && positionals.backends.length > 0) {
      return { origin: "flag", label: "argument", texts: positionals.backends };
    }
    return inEnvironment(env, variableName(name), option);
  };

  const configSaid = said("config", options.config);
  // What `migrate` prints is sent there: the file is empty then.
  const standard = command === "migrate" ? undefined : await defaultFile(cwd);
  const path = configSaid ? String(parse("config", configSaid)) : standard;
  const config = path === undefined ? undefined : await configPaths(path);
  const file = config && (await read(config, cwd));
  mistakes.push(...(file?.mistakes ?? []).map((text): Mistake => ({ code: "CONFIG", text })));

  const own = new Map(optionsOf(command));
  for (const [name, option] of Object.entries(options) as [OptionName, Option<unknown>][]) {
    const spoken = own.has(name) ? said(name, option) : undefined;
    const filed = spoken || !own.has(name) ? undefined : inFile(file, command, name);
    const foreign = own.has(name) && option.foreign ? inEnvironment(env, option.foreign, option) : undefined;
    const text = spoken ?? (filed === undefined ? foreign : undefined);
    values[name] = text ? parse(name, text) : filed ? filed.value : option.initial;
    const counts = text ?? filed?.said;
    if (counts) counted.set(name, counts);
    origins[name] = counts?.origin ?? "default";
  }
  const complete = values as Values;
  // What could not be read may have named a backend or a template; and nothing is to start where it is only shown.
  const readable = (file?.mistakes ?? []).length === 0;
  const isComplete = readable && !given.shows;
  if (isComplete && !unclear.has("backend")) mistakes.push(...backendMistakes(command, complete));
  if (isComplete && !unclear.has("template")) mistakes.push(...templateMistakes(command, complete, cwd));
  // Where something else is wrong, those are looked at of which enough is known.
  const known = readable || given.shows ? [] : (file?.templates ?? []);
  if (known.length > 0) mistakes.push(...templateMistakes(command, { ...complete, template: known }, cwd));

  // `check` has no options of its own for what it reads in the file.
  const phrases = command === "check" ? (at(file?.values, ["registrator"]) as Partial<Values>) : complete;
  const placeOf = (name: OptionName) =>
    place(name, command === "check" ? "file" : origins[name], file, command);
  mistakes.push(...(await phraseMistakes({ name: phrases?.name, tags: phrases?.tags ?? [] }, placeOf)));

  if (command === "check") mistakes.push(...unguardedInFile(file, complete));
  else if (options.listen.effective?.includes(command))
    mistakes.push(...unguarded(complete, placeOf("listen")));

  return {
    values: complete,
    origins: origins as Record<OptionName, Origin>,
    said: counted,
    names: positionals.names,
    commandLine: given.commandLine,
    targets: targetsOf(complete, cwd),
    config,
    templateSources: (file?.templateSources ?? []).map((source) =>
      resolve(config?.folder ?? dirname(path ?? cwd), source),
    ),
    mistakes,
    warnings: [
      ...(given.flags.has("backend") && positionals.backends.length > 0
        ? ["--backend is given, so the backend that stands alone is not used"]
        : []),
      ...(complete.resync === 0
        ? [
            `--resync 0: Portolan compares nevertheless, every ${options.resync.shown}, and writes only differences`,
          ]
        : []),
      ...(complete.network !== undefined && !complete.internal
        ? [
            `--network ${complete.network} is for containers that are registered with their own address: give --internal as well, or ${complete.labelPrefix}INTERNAL=true to a container; published ports have the host's address`,
          ]
        : []),
    ],
    ignored: [...own].flatMap(([name, { ignored }]) =>
      ignored && origins[name] !== "default" ? [`-${longName(name)} has no effect: ${ignored}`] : [],
    ),
  };
}

/** The address of the status pages, where others reach it and no token is asked for. */
function unguarded(
  { listen, listenTokenFile }: Pick<Values, "listen" | "listenTokenFile">,
  { code, at }: ReturnType<typeof place>,
): readonly Mistake[] {
  const why = whyUnguarded(listen, listenTokenFile);
  return why === undefined ? [] : [{ code, text: `${at}: ${why}` }];
}

/** The same in a file that is for all daemons. */
function unguardedInFile(file: ConfigFile | undefined, { listenTokenFile }: Values): readonly Mistake[] {
  const all = (["registrator", "templater", "agent"] as const).flatMap((daemon) => {
    const listen = inFile(file, daemon, "listen")?.value as Values["listen"];
    const token = (inFile(file, daemon, "listenTokenFile")?.value ?? listenTokenFile) as string | undefined;
    return unguarded({ listen, listenTokenFile: token }, place("listen", "file", file, daemon));
  });
  // What stands at the top level is said of each of them.
  return all.filter(({ text }, index) => all.findIndex((one) => one.text === text) === index);
}

/** Where an option was given, for a mistake that shows only when all is read. */
function place(
  name: OptionName,
  origin: Origin | undefined,
  file: ConfigFile | undefined,
  command: CommandName,
): { readonly code: Mistake["code"]; readonly at: string } {
  if (origin === "environment") return { code: "USAGE", at: variableName(name) };
  const path = keyPaths(command, name).find((keys) => at(file?.values, keys) !== undefined);
  if (origin !== "file" || path === undefined) return { code: "USAGE", at: `--${longName(name)}` };
  return { code: "CONFIG", at: `${file?.place(path)}: ${path.join(".")}` };
}

/** An empty variable says nothing: that is how compose files leave one out. */
function inEnvironment(env: Env, label: string, { separator }: Option<unknown>): Said | undefined {
  const text = env[label];
  if (text === undefined || text === "") return undefined;
  const texts = separator ? text.split(separator).filter((part) => part !== "") : [text];
  return { origin: "environment", label, texts };
}

/** The value that stands in the config file, with where it does. */
function inFile(
  file: ConfigFile | undefined,
  command: CommandName,
  name: OptionName,
): { readonly value: unknown; readonly said: Said } | undefined {
  if (file === undefined) return undefined;
  for (const path of keyPaths(command, name)) {
    const value = at(file.values, path);
    if (value === undefined) continue;
    const said: Said = { origin: "file", label: file.place(path), texts: [file.written(path)] };
    const option: Option<unknown> = options[name];
    if (option.shape !== "templates") return { value, said };
    const entries = (value as readonly TemplateEntry[]).map(
      (entry, index): TemplateEntry => ({ ...entry, place: file.place([...path, index]) }),
    );
    return { value: entries, said };
  }
  return undefined;
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>)[key] : undefined,
    value,
  );
}

/** Loaded late: most command lines have no config file, and YAML and its schema take time to load. */
async function read(paths: ConfigPaths, cwd: string): Promise<ConfigFile> {
  const { readConfigFile } = await import("./config-file.ts");
  return readConfigFile(paths, cwd);
}

async function defaultFile(cwd: string): Promise<string | undefined> {
  for (const file of [resolve(cwd, "portolan.yaml"), "/etc/portolan/portolan.yaml"]) {
    try {
      await access(file);
      return file;
    } catch {}
  }
  return undefined;
}
