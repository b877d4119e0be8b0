import { constants } from "node:os";
import { resolve } from "node:path";
import { z } from "zod";
import { PortolanError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { Command } from "../run-command.ts";
import { formats } from "../templater/escape/format.ts";
import type { GuardSettings } from "../templater/guard-settings.ts";
import type { ContainerReload, HostTurns, Reload } from "../templater/target.ts";
import { commandNames } from "./command-name.ts";
import { parseAtLeast, parseDuration } from "./duration.ts";
import { keyPaths, type Option, optionsOf } from "./options.ts";
import { type Parse, parseDockerUrl, parseFew, parseOneOf } from "./parse.ts";
import { defaultTimeout, type TemplateEntry } from "./template-entry.ts";
import { parseWait, waitWindow } from "./wait-window.ts";

// What it would compile for many reads costs more than the few that there are.
z.config({ jitless: true });

/** What a config file says: values by section and key, parsed as an option's text would be. */
export interface FileValues {
  readonly [key: string]: unknown;
}
/** The two forms of a schema that `either` has made, for who writes it down: see json-schema.ts. */
export const formsOf = new WeakMap<object, readonly [z.ZodType, z.ZodType]>();

/**
 * The schema of the config file: a key for each option of the table, and the templates. `folder` is the
 * file's own, to which its paths are relative. What stands below keys that are not there is left out, as `isThere` says:
 * writing it all down takes longer than reading a file.
 */
export function configSchema(
  folder: string,
  isThere: (key: string) => boolean = () => true,
): z.ZodType<FileValues> {
  const sections = new Map<string, Map<string, z.ZodType>>();
  const top = new Map<string, z.ZodType>();
  for (const command of commandNames) {
    for (const [name, option] of optionsOf(command)) {
      for (const [section = "", key] of keyPaths(command, name)) {
        const keys = key === undefined ? top : entry(sections, section);
        const word = key ?? section;
        // Most options are those of many commands.
        if (!keys.has(word)) keys.set(word, isThere(section) ? leaf(option, folder) : absent);
      }
    }
  }
  return strict({
    ...Object.fromEntries(top),
    ...Object.fromEntries(
      [...sections].map(([name, keys]) => [name, isThere(name) ? strict(Object.fromEntries(keys)) : absent]),
    ),
  });
}

/** Stands for a key that is known. */
const absent = z.unknown();

function leaf(option: Option<unknown>, folder: string): z.ZodType {
  const { help, shown } = option;
  return schemaOf(option, folder).describe(shown === undefined ? help : `${help} [${shown}]`);
}

function schemaOf({ shape, kind, path, parse }: Option<unknown>, folder: string): z.ZodType {
  if (shape === "templates") return z.array(templateSchema(folder), { error: "it is not a list" });
  if (shape === "wait") return wait;
  const whole: typeof parse = path ? (word) => resolve(folder, String(parse(word))) : parse;
  if (kind === "list") return list(whole);
  if (path) return text(whole);
  return text(parse);
}

function entry(map: Map<string, Map<string, z.ZodType>>, name: string): Map<string, z.ZodType> {
  const found = map.get(name) ?? new Map<string, z.ZodType>();
  map.set(name, found);
  return found;
}

/** `[memory:]` is a list of mappings for YAML. */
function notText({ input }: { readonly input?: unknown }): string {
  const hint =
    typeof input === "object" && input !== null ? "; a value that ends in a colon needs quotes" : "";
  return `it is neither a word nor a number${hint}`;
}

/** A scalar as an option of the same name would take it. */
function text<T>(parse: Parse<T>) {
  const words = parse.choices?.flatMap((word) =>
    /^(true|false)$/.test(word) ? [word === "true", word] : word,
  );
  return z
    .custom<string | boolean>((value) => typeof value === "string" || typeof value === "boolean", {
      error: notText,
    })
    .meta(words ? { enum: words } : { type: ["string", "number", "boolean"] })
    .transform((value, context) => attempt(context, () => parse(String(value))));
}

/** One scalar or a list of them. */
function list(parse: Parse<unknown>) {
  const item = text(parse);
  return either<unknown>(Array.isArray, z.array(item), item).transform((all) => [all].flat(2));
}

const path = (folder: string) =>
  z
    .string({ error: ({ input }) => (input === undefined ? "it is missing" : "it is not a path") })
    .min(1, "it is empty")
    .transform((name) => resolve(folder, name));

const argv = z.array(text(String), { error: "it is not a list of words" }).min(1, "it names no program");

const shell = z.string({ error: "it is not a command line" }).min(1, "it is empty");

const isMapping = (value: unknown) => typeof value === "object";

const wait = either(
  isMapping,
  strict({ min: text(parseDuration), max: text(parseDuration) }).transform(({ min, max }, context) =>
    attempt(context, () => waitWindow(min as number | undefined, max as number | undefined)),
  ),
  text(parseWait),
);

const check = either<Command>(
  Array.isArray,
  argv.transform((words) => ({ argv: words })),
  strict({ shell }, "it is neither a list of words nor {shell: …}").transform((given) => given as Command),
);

/** ms that a host waits for its turn to reload, unless the file says otherwise. */
const defaultTurnWait = 30_000;

const reloadTurns = whole({
  name: z.string({ error: missingOr("it is not a name") }).min(1, "it is empty"),
  atMost: text(parseFew(1)).optional(),
  wait: text(parseAtLeast(1_000)).optional(),
}).transform(({ name, atMost = 1, wait = defaultTurnWait }): HostTurns => ({ name, atMost, wait }));

const mode = z
  .string({ error: "it is not a mode" })
  .regex(/^(0o?)?[0-7]{3,4}$/, "it is not a mode; write e.g. 0644")
  .transform((digits) => Number.parseInt(digits.replace(/^0o?/, ""), 8));

const signalName = z
  .string({ error: ({ input }) => (input === undefined ? "it is missing" : "it is not a signal") })
  .transform((word, context) => {
    const name = word.startsWith("SIG") ? word : `SIG${word}`;
    if (name in constants.signals) return name as NodeJS.Signals;
    const known = Object.keys(constants.signals).map((signal) => signal.slice(3));
    return refuse(context, `"${word}" is not a signal; the nearest is ${nearest(word, known)}`);
  });

/** Generations of old nginx workers that may be shutting down when the next reload is due. */
const defaultMaxOld = 4;

/** A whole number from zero. */
function parseCount(word: string): number {
  if (/^\d{1,6}$/.test(word)) return Number(word);
  throw new PortolanError("USAGE", `"${word}" is not a number from 0`);
}

/** `user`, `user:group` or `:group`, as for chown(1). */
const owner = z
  .string({ error: "it is not an owner" })
  .regex(/^[\w.-]*(:[\w.-]+)?$/, "it is not an owner; write e.g. root:haproxy")
  .min(1, "it is empty")
  .transform((word) => {
    const [user, group] = word.split(":");
    return { ...(user && { user }), ...(group && { group }) };
  });

const group = z.string({ error: "it is not a name" }).min(1, "it is empty");

/** A part of a whole, from 0% to 100%. */
function parsePercent(word: string): number {
  const [, digits] = /^(\d{1,3})%$/.exec(word) ?? [];
  if (digits !== undefined && Number(digits) <= 100) return Number(digits) / 100;
  throw new PortolanError("USAGE", `"${word}" is not a percentage; write e.g. 50%`);
}

const names = list(String).transform((all) => all as readonly string[]);

/** `true` or `false`. */
const parseYes: Parse<boolean> = Object.assign(
  (word: string) => {
    if (word === "true" || word === "false") return word === "true";
    throw new PortolanError("USAGE", `"${word}" is neither true, false nor a list of services`);
  },
  { choices: ["true", "false"] },
);

const guard = whole({
  maxDrop: text(parsePercent).optional(),
  hold: text(parseDuration).optional(),
  min: z
    .record(z.string(), text(parseCount), { error: "it is not a mapping of services to numbers" })
    .optional(),
  requireNonEmpty: either<boolean | readonly string[]>(Array.isArray, names, text(parseYes)).optional(),
  oneMaster: names.optional(),
}).transform(
  ({ requireNonEmpty, ...given }): Partial<GuardSettings> =>
    withoutAbsent<Partial<GuardSettings>>({ ...given, requireNonEmpty: requireNonEmpty || undefined }),
);

const http = whole({
  url: z.string({ error: missingOr("it is not a URL") }).transform((url, context) => {
    if (URL.canParse(url) && /^https?:/.test(url)) return url;
    return refuse(context, `"${url}" is not a URL; write e.g. http://127.0.0.1:8080/reload`);
  }),
  method: z
    .string({ error: "it is not a method" })
    .regex(/^[A-Z]+$/, "it is not a method; write e.g. POST")
    .default("POST"),
  expect: list(parseStatus).default([]),
}).transform(({ expect, ...given }) => ({ ...given, expect: expect as readonly number[] }));

function parseStatus(word: string): number {
  if (/^[1-5]\d\d$/.test(word)) return Number(word);
  throw new PortolanError("USAGE", `"${word}" is not an HTTP status; write e.g. 200`);
}

const container = whole({
  name: z.string({ error: missingOr("it is not a name") }).min(1, "it is empty"),
  signal: signalName.optional(),
  exec: argv.optional(),
  docker: text(parseDockerUrl).optional(),
}).transform(({ name, signal, exec, docker }, context): Omit<ContainerReload, "kind"> => {
  const to = docker !== undefined && { docker };
  if (signal !== undefined && exec === undefined) return { name, action: { signal }, ...to };
  if (exec !== undefined && signal === undefined) return { name, action: { exec }, ...to };
  return refuse(context, "it has to hold exactly one of signal and exec");
});

function missingOr(otherwise: string) {
  return ({ input }: { readonly input?: unknown }) => (input === undefined ? "it is missing" : otherwise);
}

/** The same without the keys that have no value. */
function withoutAbsent<T extends object>(given: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}

/** `services`, or `{services: {tag: …}}`. */
const forEach = either<NonNullable<TemplateEntry["forEach"]>>(
  isMapping,
  whole({
    services: whole({ tag: z.string({ error: "it is not a tag" }).min(1, "it is empty").optional() }),
  }).transform(({ services: { tag } }) => (tag === undefined ? {} : { tag })),
  z.literal("services", { error: "it is neither services nor {services: {tag: …}}" }).transform(() => ({})),
);

function reload(folder: string) {
  const kinds = {
    command: argv.transform((words): Reload => ({ kind: "command", command: { argv: words } })),
    shell: shell.transform((line): Reload => ({ kind: "command", command: { shell: line } })),
    signal: whole({ name: signalName, pidfile: path(folder) }).transform(
      ({ name, pidfile }): Reload => ({ kind: "signal", name, pidfile }),
    ),
    container: container.transform((given): Reload => ({ kind: "container", ...given })),
    haproxy: whole({
      socket: path(folder),
      master: path(folder).optional(),
      pidfile: path(folder).optional(),
    }).transform((given): Reload => withoutAbsent({ kind: "haproxy", ...given })),
    nginx: whole({
      pidfile: path(folder),
      maxOld: text(parseCount).optional(),
      errorLog: path(folder).optional(),
    }).transform(
      ({ maxOld = defaultMaxOld, ...given }): Reload => withoutAbsent({ kind: "nginx", maxOld, ...given }),
    ),
    http: http.transform((given): Reload => ({ kind: "http", ...given })),
  };
  const names = Object.keys(kinds).join(", ");
  const otherwise = `it is neither none nor a mapping with one of ${names}`;
  return either<Reload>(
    (value) => value === "none",
    z.literal("none").transform(() => ({ kind: "none" })),
    strict(kinds, otherwise).transform((given, context) => {
      const [only, ...more] = Object.values(given);
      if (only !== undefined && more.length === 0) return only as Reload;
      return refuse(context, `it has to be exactly one of none, ${names}`);
    }),
  );
}

/** One entry of `templates`. */
export function templateSchema(folder: string): z.ZodType<TemplateEntry> {
  const shape = {
    source: path(folder),
    destination: path(folder),
    format: text(parseOneOf(formats)).optional(),
    mode: mode.optional(),
    check: check.optional(),
    reload: reload(folder).optional(),
    splay: text(parseDuration).optional(),
    reloadTurns: reloadTurns.optional(),
    timeout: text(parseDuration).optional(),
    guard: guard.optional(),
    group: group.optional(),
    owner: owner.optional(),
    forEach: forEach.optional(),
    backups: text(parseCount).optional(),
    verify: check.optional(),
  };
  return whole(shape).transform(
    ({
      source,
      destination,
      format,
      forEach,
      mode,
      owner,
      backups,
      group,
      guard,
      check,
      reload,
      splay,
      reloadTurns,
      verify,
      timeout,
    }) => ({
      source,
      destination,
      ...(format !== undefined && { format }),
      ...(forEach !== undefined && { forEach }),
      ...(mode !== undefined && { mode }),
      ...(owner !== undefined && { owner }),
      ...(backups !== undefined && { backups }),
      ...(group !== undefined && { group }),
      ...(guard !== undefined && { guard }),
      ...(check !== undefined && { check }),
      reload: reload ?? { kind: "none" as const },
      ...(splay !== undefined && { splay }),
      ...(reloadTurns !== undefined && { reloadTurns }),
      ...(verify !== undefined && { verify }),
      timeout: timeout ?? defaultTimeout,
    }),
  );
}

/** A mapping whose keys are all optional. */
function strict(shape: Readonly<Record<string, z.ZodType>>, otherwise?: string) {
  return whole(
    Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, value.optional()])),
    otherwise,
  );
}

/** A mapping with just these keys. The message for unknown keys has one line for each of them. */
function whole<Shape extends z.ZodRawShape>(
  shape: Shape,
  otherwise = "it is not a mapping of keys to values",
) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => `unknown key; the nearest known one is "${nearest(key, known)}"`).join("\n")
        : issue.input === undefined
          ? "it is missing"
          : otherwise,
  });
}

/** Chooses the schema by the value, so that a mistake is told in the words of the form that was meant. */
function either<T>(test: (value: unknown) => boolean, one: z.ZodType<T>, other: z.ZodType<T>): z.ZodType<T> {
  const raw = z.unknown();
  formsOf.set(raw, [one, other]);
  return raw.transform((value, context): T => {
    const result = (test(value) ? one : other).safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues)
      context.issues.push({ ...issue, input: issue.input } as z.core.$ZodRawIssue);
    return z.NEVER;
  });
}

function attempt<T>(context: z.RefinementCtx, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    return refuse(context, error instanceof Error ? error.message : String(error));
  }
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.issues.push({ code: "custom", message, input: context.value });
  return z.NEVER;
}
