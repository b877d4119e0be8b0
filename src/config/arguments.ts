import { PortolanError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { isBackendUrl } from "./backend-choice.ts";
import { type CommandName, commandNames, withCommandLine } from "./command-name.ts";
import { adviceOnFork } from "./from-registrator.ts";
import { longName, type OptionName, options, optionsOf } from "./options.ts";
import { spellOut, takesNext } from "./spell-out.ts";

/** A command line, taken apart but not yet understood. */
export interface Arguments {
  /** Absent when only help or the version is asked for. */
  readonly command?: CommandName;
  readonly help: boolean;
  readonly version: boolean;
  /** Texts by option, in the order given. */
  readonly flags: ReadonlyMap<OptionName, readonly string[]>;
  readonly positionals: readonly string[];
  /** What stands after `--`, of a command that takes a command line of its own. */
  readonly commandLine: readonly string[];
  /** The command is not to run: `config show` tells what it would be told. */
  readonly shows?: true;
  /** What could not be understood, one sentence each. */
  readonly mistakes: readonly string[];
}

/** As here, as `node`, `docker` and `nginx` have it, and as Go's own programs do. */
const versionWords = ["--version", "-version", "-V", "-v"];
const helpWords = ["--help", "-help", "-h"];

const asked = { flags: new Map(), positionals: [], commandLine: [], mistakes: [] };

/** Takes a command line apart: commands, options and positionals. Rejects with USAGE for an unknown command. */
export async function parseArguments(argv: readonly string[]): Promise<Arguments> {
  const at = commandPosition(argv);
  const before = argv.slice(0, at);
  const word = argv[at];
  if (word === undefined || word === "help") {
    const about = argv[at + 1];
    const topic = about === undefined ? undefined : commandNamed(about);
    const version = before.some((arg) => versionWords.includes(arg));
    const unknown = before.find((arg) => ![...versionWords, ...helpWords].includes(arg));
    if (unknown !== undefined) throw noCommand(`no command after "${unknown}"`, "agent");
    return {
      ...asked,
      help: !version && argv.length > 0,
      version,
      ...(topic !== undefined && { command: topic }),
    };
  }
  if (isBackendUrl(word)) throw noCommand(`no command before "${word}"`, "registrator");
  const rest = [...before, ...argv.slice(at + 1)];
  return word === "config" ? parseConfigCommand(rest) : parseOptions(commandNamed(word), rest);
}

/** `config show [COMMAND] OPTIONS` reads everything as the command would; the agent has the options of both daemons. */
async function parseConfigCommand(words: readonly string[]): Promise<Arguments> {
  const at = commandPosition(words);
  if (words[at] !== "show") return parseOptions("config", words);
  const rest = words.toSpliced(at, 1);
  const next = commandPosition(rest);
  const isNamed = rest[next] !== undefined && !rest[next].includes(":");
  const about = isNamed ? commandNamed(rest[next] ?? "") : "agent";
  const given = await parseOptions(about, isNamed ? rest.toSpliced(next, 1) : rest);
  return given.help ? { ...asked, help: true, version: false, command: "config" } : { ...given, shows: true };
}

function noCommand(found: string, likely: CommandName): PortolanError {
  const wayOut = `begin with one, e.g. portolan ${likely}; portolan --help lists them`;
  return new PortolanError("USAGE", `${found}; ${wayOut}`);
}

function commandNamed(word: string): CommandName {
  const command = commandNames.find((name) => name === word);
  if (command !== undefined) return command;
  throw new PortolanError(
    "USAGE",
    `unknown command "${word}"; the nearest known one is "${nearest(word, commandNames)}"; see portolan --help`,
  );
}

const allOptions = Object.entries(options);

/** Where the command stands: the first word that is neither an option nor an option's argument. */
function commandPosition(argv: readonly string[]): number {
  let at = 0;
  while (at < argv.length) {
    const arg = argv[at] ?? "";
    if (!arg.startsWith("-")) return at;
    at += takesNext(arg, allOptions) ? 2 : 1;
  }
  return at;
}

async function parseOptions(command: CommandName, typed: readonly string[]): Promise<Arguments> {
  const { rest: all, tags } = command === "tag" ? takeTags(typed) : { rest: typed, tags: [] };
  const dashes = withCommandLine.includes(command) ? all.indexOf("--") : -1;
  const argv = dashes < 0 ? all : all.slice(0, dashes);
  // Loaded late, so that `--version` and `--help` need not wait for it.
  const { Command, Option: CommanderOption } = await import("commander");
  const known = optionsOf(command);
  const program = new Command(command).helpOption(false).option("-h, --help").option("-V, --version");
  for (const [name, option] of known) {
    const short = option.short === undefined ? "" : `-${option.short}, `;
    const long = `--${longName(name)}`;
    if (option.kind === "switch") {
      program
        .addOption(new CommanderOption(short + long))
        .addOption(new CommanderOption(`--no-${longName(name)}`));
    } else {
      program.addOption(
        new CommanderOption(`${short}${long} <text>`).argParser<string[]>((text, all = []) => [...all, text]),
      );
    }
  }

  const { words, mistakes } = spellOut(argv, known, command === "registrator" || command === "explain");
  const { operands, unknown } = program.parseOptions([...words]);
  // commander hands back all that follows the first unknown option, so there positionals stand among options.
  const isOption = (word: string | undefined) => word?.startsWith("-") && word !== "-" && word !== "--";
  const strange = unknown.filter(isOption);
  const positionals = unknown.filter((word, at) => {
    // What follows an unknown option and is no URL will be its argument.
    const argument = isOption(unknown[at - 1]) && !word.includes(":");
    return !isOption(word) && word !== "--" && !argument;
  });
  const longNames = known.filter(([, { ignored }]) => !ignored).map(([name]) => `--${longName(name)}`);
  for (const word of strange) {
    const name = word.split("=")[0] ?? word;
    const isSwitch = known.some(
      ([option, { kind }]) => kind === "switch" && name === `--${longName(option)}`,
    );
    mistakes.push(
      isSwitch
        ? `${word}: a switch is true or false`
        : ((command === "registrator" ? adviceOnFork(name.replace(/^--/, "")) : undefined) ??
            `unknown option "${name}"; the nearest known one is ${nearest(name, longNames)}`),
    );
  }

  const given = program.opts<Record<string, unknown>>();
  const flags = new Map<OptionName, readonly string[]>();
  for (const [name] of known) {
    const texts = given[name];
    if (texts !== undefined) flags.set(name, Array.isArray(texts) ? texts : [String(texts)]);
  }
  return {
    command,
    help: given.help === true,
    version: given.version === true,
    flags,
    positionals: [...operands, ...positionals],
    commandLine: dashes < 0 ? tags : all.slice(dashes + 1),
    mistakes,
  };
}

/**
 * The tags of a `tag` command line: whatever begins with `+` or `-` after the id, which is the first word that is
 * neither an option, nor an option's argument, nor a URL. Only an option of the command in full is none.
 */
function takeTags(given: readonly string[]): {
  readonly rest: readonly string[];
  readonly tags: readonly string[];
} {
  const known = optionsOf("tag");
  const isLong = (word: string) =>
    /^--(help|version)$/.test(word) ||
    known.some(([name]) => word === `--${longName(name)}` || word.startsWith(`--${longName(name)}=`));
  const rest: string[] = [];
  const tags: string[] = [];
  let hasId = false;
  for (let at = 0; at < given.length; at++) {
    const word = given[at] ?? "";
    if (takesNext(word, known) && (!hasId || isLong(word))) {
      rest.push(...given.slice(at, at + 2));
      at += 1;
    } else if (hasId && /^[+-]/.test(word) && !isLong(word)) tags.push(word);
    else {
      rest.push(word);
      hasId ||= !word.startsWith("-") && !isBackendUrl(word);
    }
  }
  return { rest, tags };
}
