import type { CommandLine } from "./command-line.ts";
import { options } from "./command-line.ts";
import { consulTemplateKeys, consulTemplateOptions } from "./consul-template-keys.ts";
import type { Language } from "./convert/expression.ts";
import { goDuration, ourDuration, waitOf } from "./duration.ts";
import { type HclItem, type HclValue, parseHcl } from "./hcl.ts";
import type { Draft, Entry, Files, Given, Migrated, OutFile } from "./migrated.ts";
import type { Note, Tell } from "./note.ts";
import { findFile } from "./paths.ts";
import { type Taker, takeFrom } from "./settings-read.ts";
import { templateName, turnFile } from "./template-file.ts";
import { consulTemplate } from "./vocabulary/consul-template.ts";
import { go } from "./vocabulary/go.ts";

/** What consul-template's templates are written in. */
export const consulTemplateLanguage: Language = {
  functions: { ...go, ...consulTemplate },
  top: {
    code: "this",
    shape: { kind: "nothing", why: "at the top of a template the dot has no value" },
    free: true,
  },
};

/** consul-template's options without a word after them. */
const switches = new Set([
  "once",
  "dry",
  "parse-only",
  "dedup",
  "syslog",
  "version",
  "h",
  "help",
  "consul-ssl",
  "consul-retry",
  "consul-transport-disable-keep-alives",
]);

const levels: Readonly<Record<string, string>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  err: "error",
  error: "error",
};

/** consul-template's configuration in HCL or JSON. Throws HclError. */
export function fromConsulTemplate(given: Given, files: Files): Migrated {
  return turn(parseHcl(given.text), consulTemplateKeys, given, files);
}

/** A command line of consul-template's. */
export function fromConsulTemplateLine(line: CommandLine, given: Given, files: Files): Migrated {
  const { items } = options(line, switches);
  const nested = items.map((item): HclItem => asKey(item));
  return turn(nested, { ...consulTemplateKeys, ...consulTemplateOptions }, given, files);
}

/** An option in the place of the key that says the same. */
function asKey(item: HclItem): HclItem {
  const { key, line, value } = item;
  const text = "text" in value ? value.text : "";
  const block = (name: string, inner: readonly (readonly [string, string])[]): HclItem => ({
    key: name,
    line,
    value: {
      kind: "object",
      line,
      items: inner.map(([one, word]) => ({
        key: one,
        line,
        value: { kind: "text", text: word, line, textLine: line },
      })),
    },
  });
  const [, consul] = /^-consul-(addr|token-file|namespace)$/.exec(key) ?? [];
  if (consul !== undefined)
    return block("consul", [[consul === "addr" ? "address" : consul.replace("-", "_"), text]]);
  const [, ssl] = /^-consul-ssl-(ca-cert|cert|key)$/.exec(key) ?? [];
  const sslBlock = (name: string, word: string): HclItem => ({
    key: "consul",
    line,
    value: { kind: "object", line, items: [block("ssl", [[name, word]])] },
  });
  if (ssl !== undefined) return sslBlock(ssl.replace("-", "_"), text);
  if (key === "-consul-ssl") return sslBlock("enabled", text);
  if (key === "-consul") return block("consul", [["address", text]]);
  if (key === "-template") {
    const [source = "", destination = "", ...command] = text.split(":");
    const words: [string, string][] = [
      ["source", source],
      ["destination", destination],
    ];
    if (command.length > 0) words.push(["command", command.join(":")]);
    return block("template", words);
  }
  if (key === "-wait" || key === "-log-level") return { ...item, key: key.slice(1).replace("-", "_") };
  return item;
}

function turn(
  items: readonly HclItem[],
  keys: typeof consulTemplateKeys,
  { path, made = [] }: Given,
  files: Files,
): Migrated {
  const notes: Note[] = [];
  const tell: Tell = (kind, line, what, why) => notes.push({ kind, at: `${path}:${line}`, what, why });
  const config = takeFrom(items, "", keys, tell);
  const out: OutFile[] = [...made];

  const delimiters = config.words("default_delimiters")?.words;
  const blocks = config.all("template").flatMap((value) => (value.kind === "object" ? [value] : []));
  const waits: { readonly line: number; readonly wait: NonNullable<Draft["wait"]> }[] = [];
  const entries = blocks.map((block): Entry => {
    const template = takeFrom(block.items, "template.", keys, tell);
    const wait = waitIn(template, tell);
    if (wait) waits.push({ wait, line: block.line });
    const { entry, made } = turnEntry(template, {
      block,
      path,
      files,
      notes,
      tell,
      delimiters,
      taken: new Set(out.map((file) => file.path)),
    });
    out.push(...made);
    template.finish();
    return entry;
  });

  const backend = backendOf(config);
  const own = waitIn(config, tell);
  const only = own === undefined && waits.length === 1 && blocks.length === 1 ? waits[0]?.wait : undefined;
  if (only === undefined) {
    for (const { line } of waits)
      tell("missing", line, "template.wait", "one window counts for all templates: templater.wait");
  }
  const level = config.text("log_level");
  config.finish();

  const wait = own ?? only;
  const logLevel = level && levels[level.text.toLowerCase()];
  return {
    draft: {
      ...(backend !== undefined && { backend }),
      entries,
      ...(wait && { wait }),
      ...(logLevel !== undefined && { logLevel }),
    },
    files: out,
    notes,
  };
}

interface Surroundings {
  readonly block: HclValue;
  readonly path: string;
  readonly files: Files;
  readonly notes: Note[];
  readonly tell: Tell;
  readonly delimiters: readonly string[] | undefined;
  readonly taken: ReadonlySet<string>;
}

function turnEntry(
  template: Taker,
  around: Surroundings,
): { readonly entry: Entry; readonly made: readonly OutFile[] } {
  const { block, path, files, notes, tell, taken } = around;
  const [source, contents, destination] = [
    template.text("source"),
    template.text("contents"),
    template.text("destination"),
  ];
  if (destination === undefined) tell("missing", block.line, "template", "it has no destination");
  const target = templateName(destination?.text ?? source?.text ?? "", taken);
  const [left = around.delimiters?.[0], right = around.delimiters?.[1]] = [
    template.text("left_delimiter")?.text,
    template.text("right_delimiter")?.text,
  ];
  const common = {
    language: consulTemplateLanguage,
    ...(left && right && { delimiters: { left, right } }),
  };

  let made: readonly OutFile[] = [];
  if (contents)
    made = turnFile({ ...common, text: contents.text, path, line: contents.textLine }, target, notes);
  else if (source) {
    const found = findFile(source.text, path, files);
    if (found) made = turnFile({ ...common, ...found, line: 1 }, target, notes);
    else
      tell(
        "missing",
        source.line,
        `source ${source.text}`,
        `it cannot be read; \`portolan migrate consul-template FILE\` turns it alone, into ${target}`,
      );
  } else tell("missing", block.line, "template", "it has neither source nor contents");
  return { entry: { source: target, destination: destination?.text ?? "", ...optionsOf(template) }, made };
}

function optionsOf(template: Taker): Partial<Entry> {
  const exec = template.block("exec");
  const command = exec?.words("command") ?? template.words("command");
  const timeout = exec?.text("timeout") ?? template.text("command_timeout");
  const ms = timeout && goDuration(timeout.text);
  const splay = goDuration(exec?.text("splay")?.text ?? "");
  const perms = template.text("perms")?.text;
  const [user, group] = [
    template.text("user") ?? template.text("uid"),
    template.text("group") ?? template.text("gid"),
  ];
  const owner = `${user?.text ?? ""}${group ? `:${group.text}` : ""}`;
  const words = command?.words.filter((word) => word !== "") ?? [];
  return {
    ...(perms !== undefined && { mode: perms.padStart(4, "0") }),
    ...(owner !== "" && { owner }),
    ...(template.flag("backup") && { backups: 1 }),
    ...(words.length > 0 && { reload: command?.isList ? { command: words } : { shell: words.join(" ") } }),
    ...(splay && { splay: ourDuration(splay) }),
    ...(ms && { timeout: ourDuration(ms) }),
  };
}

/** `wait { min, max }`, `wait = "5s:10s"`, and the old list of both. */
function waitIn(from: Taker, tell: Tell): Draft["wait"] | undefined {
  const values = from.all("wait");
  const value = values.at(-1);
  if (value === undefined) return undefined;
  if (value.kind === "object") {
    const word = (key: string) => {
      const found = value.items.find((item) => item.key === key)?.value;
      return found && "text" in found ? found.text : undefined;
    };
    if (word("enabled") === "false") return undefined;
    const min = word("min");
    const made =
      min === undefined
        ? undefined
        : waitOf([min, ...(word("max") === undefined ? [] : [word("max")])].join(":"));
    if (made === undefined) tell("missing", value.line, "wait", "it has no min");
    return made;
  }
  const made = "text" in value ? waitOf(value.text) : undefined;
  if (made === undefined) tell("missing", value.line, "wait", "it is no duration");
  return made;
}

/** The agent that it reads; undefined where it names none. */
function backendOf(config: Taker): string | undefined {
  const values = config.all("consul");
  if (values.length === 0) return undefined;
  const plain = values.some((value) => value.kind !== "object") ? config.text("consul")?.text : undefined;
  const block = config.block("consul");
  const ssl = block?.block("ssl");
  const address = block?.text("address")?.text ?? plain ?? "127.0.0.1:8500";
  const isTls = (ssl?.flag("enabled") ?? false) || address.startsWith("https://");
  const unix = /^unix:\/\/(.+)$/.exec(address)?.[1];
  const host = address.replace(/^https?:\/\//, "").replace(/\/$/, "");
  const query = [
    ["token-file", block?.text("token_file")?.text],
    ["namespace", block?.text("namespace")?.text],
    ["ca", ssl?.text("ca_cert")?.text],
    ["cert", ssl?.text("cert")?.text],
    ["key", ssl?.text("key")?.text],
  ].flatMap(([name, word]) => (word ? [`${name}=${word}`] : []));
  const start = unix === undefined ? `consul${isTls ? "+tls" : ""}://${host}` : `consul+unix://${unix}`;
  return `${start}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}
