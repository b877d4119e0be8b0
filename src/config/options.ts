import { type CommandName, commandNames } from "./command-name.ts";
import { parseAtLeast, parseDuration, parseNoneOrFrom } from "./duration.ts";
import { parseAttempts, parseInterval } from "./from-registrator.ts";
import { parseListenAddress } from "./listen-address.ts";
import {
  type Parse,
  parseBackend,
  parseDockerUrl,
  parseFew,
  parseHostAddress,
  parseOneOf,
  parseSelection,
  parseSwitch,
  parseTags,
  parseText,
} from "./parse.ts";
import { parseProbeLogin } from "./probe-login.ts";
import { parseTemplateFlag } from "./template-entry.ts";
import { parseWait } from "./wait-window.ts";

/** One option: everything that the command line, the environment, the config file and the help need. */
export interface Option<T> {
  /** `switch`: true or false; `value`: the last one counts; `list`: may be repeated. */
  readonly kind: "switch" | "value" | "list";
  /** Turns the text of one occurrence into its value; a list option's gives several. Throws a coded error. */
  readonly parse: Parse<unknown>;
  /** The value when nobody says anything. */
  readonly initial: T;
  /** Name of the argument in the help; a switch has none. */
  readonly argument?: string;
  /** A single letter. */
  readonly short?: string;
  readonly commands: readonly CommandName[];
  /**
   * Where its key stands in the config file: in the section of the running command (`own`) or always in
   * one. Absent: an option that has no key, because it says where the file is or does nothing.
   */
  readonly section?: "own" | "registrator" | "templater";
  /** Its key may also stand at the top level, for all sections. */
  readonly top?: true;
  /** Its key, where that is not its name. */
  readonly key?: string;
  /** Takes the place of the shape that the config file allows for other options: see config-schema.ts. */
  readonly shape?: "templates" | "wait";
  /** A path: relative to the working folder, or to the config file's where it stands in that. */
  readonly path?: true;
  /** Separates the values of a list in its environment variable. */
  readonly separator?: RegExp;
  /** A foreign environment variable that is read when nothing else says anything. */
  readonly foreign?: string;
  /** The commands on which it has an effect; the others take it, so that all can be called alike. */
  readonly effective?: readonly CommandName[];
  readonly help: string;
  /** The help, with its default, of commands for which that would not be true. */
  readonly helpFor?: Partial<Readonly<Record<CommandName, string>>>;
  /** The default in words or as one would write it. */
  readonly shown?: string;
  /** Taken from registrator so that its command lines work; does nothing, for this reason. */
  readonly ignored?: string;
}

type Common = Omit<Option<unknown>, "kind" | "parse" | "initial" | "shown">;

const flag = (option: Common): Option<boolean> => ({
  ...option,
  kind: "switch",
  parse: parseSwitch,
  initial: false,
});

/** A value that may be absent. */
const optional = <T>(parse: Parse<T>, option: Common & { shown?: string }): Option<T | undefined> => ({
  ...option,
  kind: "value",
  parse,
  initial: undefined,
});

/** A value with a default, written as a user would write it. */
const value = <T>(parse: Parse<T>, initial: string, option: Common): Option<T> => ({
  ...option,
  kind: "value",
  parse,
  initial: parse(initial),
  shown: initial,
});

const list = <T>(parse: Parse<readonly T[]>, option: Common): Option<readonly T[]> => ({
  ...option,
  kind: "list",
  parse,
  initial: [],
});

const registrator: readonly CommandName[] = ["registrator", "agent"];
const templater: readonly CommandName[] = ["templater", "agent"];
const daemons: readonly CommandName[] = ["registrator", "templater", "agent"];
/** What decides on instances: `explain` decides as the registrator would. */
const ofRules = { commands: ["registrator", "agent", "explain", "doctor"], section: "registrator" } as const;
/** What else a registrator is told. `explain` takes it, so that it can be given a registrator's options. */
const ofRegistrator = { ...ofRules, effective: registrator } as const;
/** What reads the state folder of a templater, and has none of its own. */
const ofState: readonly CommandName[] = ["journal", "rollback", "render", "explain"];
/** What asks the templaters of this host for their status. */
const askers: readonly CommandName[] = ["render", "explain"];
/** What reads the state folder of any daemon. */
const ofAnyState: readonly CommandName[] = ["healthcheck"];
/** What operators order of running instances. */
const ofOrders: readonly CommandName[] = ["tag", "drain", "undrain"];
/** What holds counts against what is expected. */
const ofExpect = { commands: ["expect"], section: "own" } as const;
/** What replaces containers of this Docker. */
const ofReplacing: readonly CommandName[] = ["stop", "rollout"];
const ofTemplater = { commands: templater, section: "templater" } as const;

/**
 * The one table of options, in the order of the help. The property name gives the long name (`logLevel`:
 * `--log-level`), the environment variable (`PORTOLAN_LOG_LEVEL`) and the key in the config file.
 */
export const options = {
  backend: list((text) => [parseBackend(text)], {
    argument: "URL",
    commands: [
      "registrator",
      "templater",
      "agent",
      "services",
      "explain",
      "render",
      "check",
      "acl",
      "doctor",
      "watch",
      "expect",
      "stop",
      "rollout",
      ...ofOrders,
    ],
    section: "own",
    top: true,
    separator: /\s+/,
    help: "the backend's URL",
  }),

  template: list((text) => [parseTemplateFlag(text)], {
    argument: "SOURCE:DEST[:COMMAND]",
    short: "t",
    commands: ["templater", "agent", "render", "check", "rollback", "doctor"],
    section: "templater",
    key: "templates",
    shape: "templates",
    separator: /\n/,
    help: "render SOURCE to DEST, then COMMAND; repeatable",
    helpFor: { rollback: "as the templater was given it; repeatable" },
  }),
  wait: value(parseWait, "25ms:2s", {
    ...ofTemplater,
    argument: "MIN[:MAX]",
    shape: "wait",
    help: "first change after MIN, a storm after MAX",
  }),
  minInterval: value((text) => parseDuration(text), "1s", {
    ...ofTemplater,
    argument: "DURATION",
    help: "between two reloads of one target",
  }),
  destinationRoot: list((text): readonly string[] => [parseText(text)], {
    ...ofTemplater,
    commands: [...templater, "check", "doctor"],
    argument: "DIR",
    key: "destinationRoots",
    path: true,
    separator: /:/,
    help: "write files below this folder only; repeatable",
  }),
  dryRun: flag({ commands: daemons, section: "own", help: "print what would change, write nothing" }),
  diff: flag({
    commands: ["render", "journal"],
    section: "own",
    help: "print what differs from the files",
    helpFor: { journal: "print what was changed in the files" },
  }),
  explain: flag({ commands: ["render"], section: "own", help: "print what each template reads" }),
  release: flag({
    commands: ["rollback"],
    section: "own",
    help: "end a rollback: the files are rendered again",
  }),
  snapshot: optional(parseText, {
    argument: "FILE",
    commands: ["render"],
    section: "own",
    path: true,
    help: "read the output of `services --json` instead",
  }),
  out: optional(parseText, {
    argument: "DIR",
    commands: ["migrate"],
    section: "own",
    path: true,
    help: "write portolan.yaml and the templates there",
    shown: "print them",
  }),
  services: optional(parseText, {
    argument: "PATH",
    commands: ["migrate"],
    section: "own",
    help: "confd: registrator's keys, as services",
    shown: "none",
  }),
  json: flag({
    commands: ["services", "explain", "expect", "journal", "doctor"],
    section: "own",
    help: "print JSON",
  }),
  watch: flag({
    commands: ["services"],
    section: "own",
    help: "print again after each change, until interrupted",
  }),

  heal: flag({ ...ofExpect, help: "where they differ, tell what CMD would do" }),
  apply: flag({ ...ofExpect, help: "let --heal run CMD, and remember that in the backend" }),
  confirmations: value(parseFew(1), "3", {
    ...ofExpect,
    argument: "NUMBER",
    help: "looks in a row that must differ before CMD",
  }),
  cooldown: value((text) => parseDuration(text), "10m", {
    ...ofExpect,
    argument: "DURATION",
    help: "between two runs of CMD, on whatever host",
  }),
  maxPerHour: value(parseFew(1), "3", {
    ...ofExpect,
    argument: "NUMBER",
    help: "runs of CMD within an hour, on whatever host",
  }),
  timeout: value(parseAtLeast(100), "30s", {
    argument: "DURATION",
    commands: [...ofReplacing, ...ofOrders, "expect"],
    section: "own",
    help: "how long to wait for others, each time",
  }),
  for: optional(parseAtLeast(1000), {
    argument: "DURATION",
    commands: ["tag", "drain"],
    section: "own",
    help: "the order ends after this",
    shown: "until it is taken back",
  }),
  force: flag({
    commands: ofReplacing,
    section: "own",
    help: "go on where nobody answers, or nobody else is left",
  }),
  docker: value(parseDockerUrl, "unix:///var/run/docker.sock", {
    ...ofRules,
    commands: [...ofRules.commands, ...ofReplacing],
    argument: "URL",
    top: true,
    foreign: "DOCKER_HOST",
    help: "the Docker to watch, else $DOCKER_HOST",
  }),
  node: optional(parseText, {
    argument: "NAME",
    commands: [
      "registrator",
      "templater",
      "agent",
      "render",
      "explain",
      "acl",
      "doctor",
      "drain",
      "undrain",
      ...ofReplacing,
    ],
    section: "registrator",
    top: true,
    help: "name of this host",
    helpFor: {
      acl: "the host that a registrator may claim [any]",
      drain: "all of this host, instead of ID",
      undrain: "all of this host, instead of ID",
    },
    shown: "its own",
  }),
  ip: optional(parseHostAddress, {
    ...ofRules,
    argument: "VALUE",
    help: "host address, interface:NAME, cidr:NET or env:VAR",
  }),
  internal: flag({ ...ofRules, help: "register container addresses and ports" }),
  network: optional(parseText, {
    ...ofRules,
    argument: "NAME",
    help: "container addresses in this Docker network",
  }),
  explicit: flag({ ...ofRules, help: "register only ports with a SERVICE_NAME" }),
  tags: list(parseTags, { ...ofRules, argument: "LIST", help: "comma list, added to every instance" }),
  name: optional(parseText, {
    ...ofRules,
    argument: "TEMPLATE",
    help: "Handlebars that gives the service's name",
  }),
  useIpFromLabel: optional(parseText, {
    ...ofRules,
    argument: "LABEL",
    help: "the label that holds a container's address",
  }),
  requireHealthy: flag({ ...ofRules, help: "register nothing that is not healthy" }),
  deregister: value(parseOneOf(["always", "on-success", "never"]), "always", {
    ...ofRegistrator,
    argument: "WHEN",
    help: "whose records go at a container's end",
  }),
  compat: optional(parseOneOf(["registrator"]), {
    ...ofRules,
    // It changes where the keys lie.
    commands: [...ofRules.commands, "acl"],
    argument: "registrator",
    help: "names, ids, tags and rules of registrator",
  }),
  probeInterval: value(parseAtLeast(100), "1s", {
    ...ofRegistrator,
    argument: "DURATION",
    help: "between two questions for the role of a server",
  }),
  probeTimeout: value(parseAtLeast(50), "800ms", {
    ...ofRegistrator,
    argument: "DURATION",
    help: "how long a server may take to answer",
  }),
  probeRise: value(parseFew(1), "2", {
    ...ofRegistrator,
    argument: "NUMBER",
    help: "probes in a row that make a master",
  }),
  probeFall: value(parseFew(1), "3", {
    ...ofRegistrator,
    argument: "NUMBER",
    help: "probes in a row without an answer: role unknown",
  }),
  probeCredentials: list((text) => [parseProbeLogin(text)], {
    ...ofRegistrator,
    argument: "NAME=USER:FILE",
    separator: /\s+/,
    help: "for probes: redis, postgres, mysql, http or a service",
  }),
  onPromote: list((text) => [parseText(text)], {
    ...ofRegistrator,
    effective: [...registrator, "doctor"],
    argument: "WORD",
    separator: /\s+/,
    help: "run for who is elected, before it is master; repeatable: arguments",
  }),
  onPromoteTimeout: value(parseAtLeast(100), "10s", {
    ...ofRegistrator,
    argument: "DURATION",
    help: "how long that may take",
  }),
  adopt: flag({ ...ofRegistrator, help: "take over what registrator left for this host" }),
  allowCheckScripts: flag({ ...ofRegistrator, help: "let containers run checks by script in Consul" }),
  ttl: value(parseNoneOrFrom(1000), "15s", {
    ...ofRegistrator,
    argument: "DURATION",
    help: "records of a dead host expire after this; 0: never",
  }),
  resync: value(parseNoneOrFrom(1000), "60s", {
    ...ofRegistrator,
    argument: "DURATION",
    help: "between two full reads of everything",
  }),
  onExit: value(parseOneOf(["keep", "deregister", "drain"]), "keep", {
    ...ofRegistrator,
    argument: "WHAT",
    help: "keep, deregister or drain the records at the end",
  }),
  select: optional(parseSelection, {
    ...ofRules,
    argument: "LABEL[=VALUE]",
    help: "only containers with this label",
  }),
  labelPrefix: value(parseText, "SERVICE_", {
    ...ofRules,
    commands: [...ofRules.commands, ...ofReplacing],
    argument: "PREFIX",
    help: "of labels and variables to read",
  }),
  cleanup: flag({
    commands: ["registrator", "explain"],
    help: "",
    ignored: "what is gone is always removed",
  }),
  ttlRefresh: optional((text) => parseDuration(text, "seconds"), {
    commands: ["registrator", "explain"],
    argument: "SECONDS",
    help: "",
    ignored: "a lease is renewed at a third of its ttl",
  }),
  retryAttempts: optional(parseAttempts, {
    commands: ["registrator", "explain"],
    argument: "NUMBER",
    help: "",
    ignored: "a backend is tried for ever",
  }),
  retryInterval: optional(parseInterval, {
    commands: ["registrator", "explain"],
    argument: "MS",
    help: "",
    ignored: "retries back off by themselves",
  }),

  once: flag({
    commands: [...daemons, "watch"],
    section: "own",
    help: "end when all is in sync, or fail after 60s",
    helpFor: { watch: "run CMD once, and end with its exit code" },
  }),
  config: optional(parseText, {
    argument: "FILE|DIR",
    short: "c",
    commands: commandNames,
    path: true,
    help: "config file, or a folder of them",
    shown: "portolan.yaml, /etc/portolan/portolan.yaml",
  }),
  stateDir: optional(parseText, {
    argument: "DIR",
    commands: commandNames,
    section: "own",
    top: true,
    path: true,
    effective: [...daemons, ...ofState, ...ofAnyState],
    help: "what is remembered",
    helpFor: {
      journal: "of a templater or agent [found by itself]",
      rollback: "of a templater or agent [found by itself]",
      render: "of a templater or agent that --explain asks [found by itself]",
      explain: "of a templater or agent that is asked [found by itself]",
      healthcheck: "of one of them [all of this host]",
    },
    shown: "/var/lib/portolan/state/COMMAND",
  }),
  listen: optional(parseListenAddress, {
    argument: "ADDR|off",
    commands: commandNames,
    section: "own",
    top: true,
    effective: [...daemons, "doctor"],
    help: "status pages",
    helpFor: { doctor: "of the status pages that are judged" },
    shown: "127.0.0.1:PORT",
  }),
  listenTokenFile: optional(parseText, {
    argument: "FILE",
    commands: commandNames,
    section: "own",
    top: true,
    path: true,
    effective: [...daemons, "doctor", ...askers],
    help: "the token that status pages ask for",
    shown: "none, on loopback only",
  }),
  logLevel: value(parseOneOf(["debug", "info", "warn", "error"]), "info", {
    argument: "LEVEL",
    commands: commandNames,
    section: "own",
    top: true,
    help: "debug, info, warn or error",
  }),
  logFormat: optional(parseOneOf(["pretty", "json"]), {
    argument: "FORMAT",
    commands: commandNames,
    section: "own",
    top: true,
    help: "pretty or json",
    shown: "pretty on a terminal",
  }),
};

/** The property name of an option. */
export type OptionName = keyof typeof options;

/** What every option is, once read. */
export type Values = {
  readonly [Name in OptionName]: (typeof options)[Name] extends Option<infer T> ? T : never;
};

/** The options of a command, in the order of the help. */
export function optionsOf(command: CommandName): readonly (readonly [OptionName, Option<unknown>])[] {
  return (Object.entries(options) as [OptionName, Option<unknown>][]).filter(([, option]) =>
    option.commands.includes(command),
  );
}

/** `logLevel` as it stands on the command line: `log-level`. */
export function longName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `logLevel` as an environment variable: `PORTOLAN_LOG_LEVEL`. */
export function variableName(name: string): string {
  return `PORTOLAN_${longName(name).replaceAll("-", "_").toUpperCase()}`;
}

/**
 * The key paths at which a command looks for an option in the config file, best first: `listen` of
 * `registrator` may stand under `registrator:` or, for all, at the top level.
 */
export function keyPaths(command: CommandName, name: OptionName): readonly (readonly string[])[] {
  const option: Option<unknown> = options[name];
  if (option.section === undefined) return [];
  const key = option.key ?? name;
  const isTemplaters = name === "stateDir" ? ofState : name === "listenTokenFile" ? askers : [];
  if (isTemplaters.includes(command)) return [["templater", key], ["agent", key], [key]];
  if (name === "backend" && command === "explain") return [["registrator", key], [key]];
  // It looks at what the daemons would be told.
  const isOfDaemons = option.commands.some((one) => daemons.includes(one));
  const own = command === "doctor" && isOfDaemons ? daemons : [command];
  const sections = option.section === "own" ? own : [option.section];
  return [...sections.map((section) => [section, key]), ...(option.top ? [[key]] : [])];
}
