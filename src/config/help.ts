import { type CommandName, commandNames } from "./command-name.ts";
import { defaultPort } from "./listen-address.ts";
import { longName, type Option, type OptionName, optionsOf, variableName } from "./options.ts";

/** What the help needs to know of a command beside its options. */
export interface Described {
  readonly positionals: string;
  readonly summary: string;
  readonly examples: readonly (readonly [words: string, purpose: string])[];
  /** What its exit codes say, where that is more than done and failed. */
  readonly exitCodes?: string;
}

type Descriptions = Readonly<Record<CommandName, Described>>;

const sources =
  "A flag beats its environment variable, which beats the config file, which beats the default.";

/** The help of the program: examples, then commands. */
export function programHelp(commands: Descriptions): string {
  const first = commandNames.flatMap((name) => commands[name].examples.slice(0, 1));
  return sections(
    [
      "Portolan registers Docker containers in a backend and renders load balancer configuration from it.",
      [],
    ],
    ["Examples:", columns(first.map(([words, purpose]) => [`portolan ${words}`, purpose]))],
    [
      "Commands:",
      columns(commandNames.map((name) => [`${name} ${commands[name].positionals}`, commands[name].summary])),
    ],
    [
      "Backends:",
      columns([
        ["consul://127.0.0.1:8500", "the local Consul agent"],
        ["etcd://HOST:2379[,HOST:2379...]/PREFIX", "etcd, API v3"],
        ["zookeeper://HOST:2181[,HOST...]/CHROOT", "ZooKeeper"],
        ["file:///DIR", "a folder on this machine"],
        ["memory:", "this process only; the default of agent"],
      ]),
    ],
    ["`portolan COMMAND --help` shows the options of a command; `portolan --version` the version.", []],
  );
}

/** The help of one command: examples, then options with default and environment variable. */
export function commandHelp(name: CommandName, commands: Descriptions): string {
  const { positionals, summary, examples, exitCodes = "0 done, 1 failed" } = commands[name];
  const shown = optionsOf(name).filter(
    ([, { ignored, effective }]) => !ignored && (effective?.includes(name) ?? true),
  );
  const ignored = optionsOf(name).filter(([, option]) => option.ignored);
  const own = shown.filter(([, { commands: all }]) => all.length < commandNames.length);
  const common = shown.filter(([, { commands: all }]) => all.length === commandNames.length);
  const table = columns([...own, ...common].map(([option, spec]) => row(name, option, spec)));
  return sections(
    [`portolan ${name} ${positionals}`.trimEnd(), [`  ${summary}`]],
    ["Examples:", columns(examples.map(([words, purpose]) => [`portolan ${words}`, purpose]))],
    ...(own.length > 0 ? [["Options:", table.slice(0, own.length)] as const] : []),
    ["Common options:", table.slice(own.length)],
    [
      `Exit codes: ${exitCodes}, 78 bad usage or configuration.`,
      ignored.length > 0
        ? [
            sources,
            `Accepted from registrator, without effect: ${ignored.map(([option]) => `-${longName(option)}`).join(", ")}.`,
          ]
        : [sources],
    ],
  );
}

function row(command: CommandName, name: OptionName, option: Option<unknown>): readonly string[] {
  const { argument, short, helpFor } = option;
  const flag = `${short ? `-${short}, ` : "    "}--${longName(name)}${argument ? ` ${argument}` : ""}`;
  const fallback = helpFor?.[command] === undefined ? defaultOf(command, option) : undefined;
  return [flag, helpOf(command, option) + (fallback ? ` [${fallback}]` : ""), variableName(name)];
}

/** What an option means to a command. */
export function helpOf(command: CommandName, { help, helpFor }: Option<unknown>): string {
  return helpFor?.[command] ?? help;
}

/** The default of an option as one would write it, or in words; undefined where there is none. */
export function defaultOf(command: CommandName, { shown }: Option<unknown>): string | undefined {
  return shown?.replace("COMMAND", command).replace(/PORT$/, String(defaultPort(command)));
}

/** Lines of aligned cells, two blanks apart. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
  );
}

function sections(...parts: readonly (readonly [head: string, lines: readonly string[]])[]): string {
  return parts.map(([head, lines]) => `${[head, ...lines].join("\n")}\n`).join("\n");
}
