import { type CommandName, commandNames } from "./command-name.ts";
import { type Described, helpOf } from "./help.ts";
import { longName, type Option, optionsOf } from "./options.ts";

/** The shells that a script can be written for. */
export const shells = ["bash", "zsh", "fish"] as const;

/** One of them. */
export type Shell = (typeof shells)[number];

type Descriptions = Readonly<Record<CommandName, Described>>;

/** What may stand somewhere: one of a few words, a file, or what nobody can know. */
type Candidates = readonly string[] | "file" | "unknown";

/** An option as a shell sees it. */
interface Flag {
  readonly long: string;
  readonly short: string | undefined;
  readonly help: string;
  /** Undefined: it takes no argument. */
  readonly argument: Candidates | undefined;
}

/** A command as a shell sees it. */
interface Completed {
  readonly name: CommandName;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** What may stand alone behind it. */
  readonly words: Candidates;
}

/** A script that makes a shell complete command lines of `portolan`: commands, options, their words and files. */
export function completionScript(shell: Shell, descriptions: Descriptions): string {
  const all = commandNames.map((name): Completed => {
    const { positionals, summary } = descriptions[name];
    return { name, summary, flags: flagsOf(name), words: wordsOf(positionals) };
  });
  return `${{ bash, zsh, fish }[shell](all).join("\n")}\n`;
}

function flagsOf(command: CommandName): readonly Flag[] {
  const help: Flag = { long: "--help", short: "-h", help: "show the help", argument: undefined };
  const own = optionsOf(command).filter(([, { ignored }]) => !ignored);
  return [
    ...own.map(([name, option]) => ({
      long: `--${longName(name)}`,
      short: option.short && `-${option.short}`,
      help: helpOf(command, option),
      argument: argumentOf(option),
    })),
    help,
  ];
}

function argumentOf({ kind, parse, path }: Option<unknown>): Candidates | undefined {
  if (kind === "switch") return undefined;
  return parse.choices ?? (path ? "file" : "unknown");
}

/** `acl consul|etcd [ROLE]` takes words, `expect FILE` a file. */
function wordsOf(positionals: string): Candidates {
  const [first = ""] = positionals.split(/[\s[]/);
  if (/^[a-z]/.test(first)) return first.split("|");
  return /\bFILE\b/.test(positionals) ? "file" : "unknown";
}

function bash(all: readonly Completed[]): readonly string[] {
  const reply = (what: Candidates) =>
    what === "file"
      ? 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
      : what === "unknown"
        ? ":"
        : `mapfile -t COMPREPLY < <(compgen -W ${quoted(what.join(" "))} -- "$cur")`;
  const names = all.map(({ name }) => name);
  return [
    '# Completion of portolan for bash: eval "$(portolan completion bash)"',
    "_portolan() {",
    `  local cur="\${COMP_WORDS[COMP_CWORD]}" command="" word`,
    "  COMPREPLY=()",
    `  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`,
    `    case "$word" in ${names.join("|")}) command="$word"; break ;; esac`,
    "  done",
    `  case "$command \${COMP_WORDS[COMP_CWORD-1]}" in`,
    ...argumentCases(all, reply),
    "  esac",
    '  case "$command $cur" in',
    `    " "*) ${reply(names)} ;;`,
    ...all.flatMap(({ name, flags, words }) => [
      `    "${name} -"*) ${reply(flags.map(({ long }) => long))} ;;`,
      `    "${name} "*) ${reply(words)} ;;`,
    ]),
    "  esac",
    "}",
    "complete -F _portolan portolan",
  ];
}

/** For bash and zsh: what each option's argument may be, by the command and the word before. */
function argumentCases(all: readonly Completed[], reply: (what: Candidates) => string): readonly string[] {
  return all.flatMap(({ name, flags }) =>
    flags.flatMap(({ long, short, argument }) => {
      if (argument === undefined) return [];
      const words = [long, short].flatMap((flag) => (flag ? [`"${name} ${flag}"`] : []));
      return [`    ${words.join("|")}) ${reply(argument)}; return ;;`];
    }),
  );
}

function zsh(all: readonly Completed[]): readonly string[] {
  const described = (pairs: readonly (readonly [word: string, help: string])[]) =>
    pairs.map(([word, help]) => quoted(`${word.replaceAll(":", "\\:")}:${help}`)).join(" ");
  const reply = (what: Candidates) =>
    what === "file" ? "_files" : what === "unknown" ? ":" : `compadd -- ${what.map(quoted).join(" ")}`;
  return [
    "#compdef portolan",
    '# Completion of portolan for zsh: eval "$(portolan completion zsh)"',
    "_portolan() {",
    "  local command= word",
    "  local -a candidates",
    `  for word in \${words[2,CURRENT-1]}; do`,
    `    case $word in ${all.map(({ name }) => name).join("|")}) command=$word; break ;; esac`,
    "  done",
    `  case "$command \${words[CURRENT-1]}" in`,
    ...argumentCases(all, reply),
    "  esac",
    `  case "$command \${words[CURRENT]}" in`,
    `    " "*) candidates=(${described(all.map(({ name, summary }) => [name, summary]))}); _describe command candidates ;;`,
    ...all.flatMap(({ name, flags, words }) => [
      `    "${name} -"*) candidates=(${described(flags.map(({ long, help }) => [long, help]))}); _describe -o option candidates ;;`,
      `    "${name} "*) ${reply(words)} ;;`,
    ]),
    "  esac",
    "}",
    `if [[ "\${funcstack[1]}" = _portolan ]]; then _portolan; else compdef _portolan portolan; fi`,
  ];
}

function fish(all: readonly Completed[]): readonly string[] {
  const reply = (what: Candidates) =>
    what === "file" ? "-r -F" : what === "unknown" ? "-x" : `-x -a ${fishQuoted(what.join(" "))}`;
  return [
    "# Completion of portolan for fish: portolan completion fish | source",
    "complete -c portolan -f",
    ...all.flatMap(({ name, summary, flags, words }) => {
      const behind = `complete -c portolan -n '__fish_seen_subcommand_from ${name}'`;
      return [
        `complete -c portolan -n __fish_use_subcommand -a ${name} -d ${fishQuoted(summary)}`,
        ...(words === "file" ? [`${behind} -F`] : []),
        ...(words === "file" || words === "unknown" ? [] : [`${behind} -a ${fishQuoted(words.join(" "))}`]),
        ...flags.map(({ long, short, help, argument }) =>
          [
            behind,
            `-l ${long.slice(2)}`,
            ...(short ? [`-s ${short.slice(1)}`] : []),
            ...(argument ? [reply(argument)] : []),
            `-d ${fishQuoted(help)}`,
          ].join(" "),
        ),
      ];
    }),
  ];
}

/** One word of bash or zsh. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** One word of fish, which knows a backslash within its quotes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
