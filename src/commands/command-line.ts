import { type Arguments, parseArguments } from "../config/arguments.ts";
import type { CommandName } from "../config/command-name.ts";
import { commandHelp, programHelp } from "../config/help.ts";
import { type Mistake, MistakesError } from "../config/mistake.ts";
import { readSettings, type Settings } from "../config/settings.ts";
import { type ErrorCode, PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Context } from "./context.ts";
import { commands } from "./index.ts";

/** The process, as a command line sees it. */
export interface Host
  extends Pick<
    Context,
    "version" | "env" | "cwd" | "terminal" | "print" | "say" | "stop" | "hurry" | "linger" | "onReload"
  > {
  /** Told once, as soon as the command is known. */
  knows(isDaemon: boolean): void;
  /** Told when a daemon's start-up is over. */
  started(log: Log): void;
}

/** What the user has to mend, so that the exit code is 78; with every other code it is 1. */
const misuse: readonly ErrorCode[] = ["USAGE", "CONFIG", "BACKEND_URL", "STATE_LOCKED"];

/** Does what a command line says and resolves with the exit code. Rejects only for what nobody foresaw. */
export async function runCommandLine(argv: readonly string[], host: Host): Promise<number> {
  try {
    return await run(await parseArguments(argv), host);
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    const all: readonly Mistake[] =
      error instanceof MistakesError ? error.mistakes : [{ code: error.code, text: error.message }];
    for (const { code, text } of all) host.say(`portolan: ${code}: ${text}`);
    return error instanceof MistakesError || misuse.includes(error.code) ? 78 : 1;
  }
}

async function run(given: Arguments, host: Host): Promise<number> {
  const { command } = given;
  if (given.version) {
    host.print(`${host.version}\n`);
    return 0;
  }
  if (given.help) {
    host.print(command === undefined ? programHelp(commands) : commandHelp(command, commands));
    return 0;
  }
  if (command === undefined) {
    host.say(programHelp(commands));
    return 78;
  }
  const { daemon, load } = commands[command];
  host.knows(daemon && !given.shows);
  const context = await contextOf({ ...given, command }, host);
  const start = given.shows ? (await import("./config-show.ts")).runConfigShow : await load();
  return start(context);
}

async function contextOf(given: Arguments & { readonly command: CommandName }, host: Host): Promise<Context> {
  const { command } = given;
  const read = () => readSettings(given, host.env, host.cwd);
  const settings = await read();
  if (settings.mistakes.length > 0 && command !== "check") throw new MistakesError(settings.mistakes);
  const log = await openLog(settings, host);
  for (const warning of settings.warnings) log.warn({}, warning);
  for (const ignored of settings.ignored) log.debug({}, ignored);
  return {
    ...host,
    command,
    settings,
    reread: read,
    log,
    started: () => host.started(log),
  };
}

/** For people on a terminal, for programs elsewhere. */
async function openLog({ values }: Settings, { terminal, env }: Host): Promise<Log> {
  const { createLog } = await import("../log.ts");
  const format = values.logFormat ?? (terminal ? "pretty" : "json");
  return createLog({ level: values.logLevel, format, colour: terminal && !env.NO_COLOR });
}
