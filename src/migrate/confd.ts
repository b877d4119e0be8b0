import { posix } from "node:path";
import { type CommandLine, options } from "./command-line.ts";
import { confdKeys, confdOptions } from "./confd-keys.ts";
import type { Language } from "./convert/expression.ts";
import type { HclItem } from "./hcl.ts";
import type { Draft, Entry, Files, Given, Migrated, OutFile } from "./migrated.ts";
import { type Note, oneLine, type Tell } from "./note.ts";
import { type Key, type Taker, takeFrom } from "./settings-read.ts";
import { templateName, turnFile } from "./template-file.ts";
import { parseToml } from "./toml.ts";
import { confd, type Place } from "./vocabulary/confd.ts";
import { go } from "./vocabulary/go.ts";
import { commandOf } from "./words.ts";

/** What confd's templates are written in. */
export function confdLanguage(place: Place): Language {
  const why = "at the top of a template the dot has no value";
  return {
    functions: { ...go, ...confd(place) },
    top: { code: "this", shape: { kind: "nothing", why }, free: true },
  };
}

const switches = new Set([
  "watch",
  "noop",
  "onetime",
  "sync-only",
  "keep-stage-file",
  "basic-auth",
  "client-insecure",
  "version",
]);

/**
 * confd's files: a resource of conf.d, with the confd.toml that lies above it, or a confd.toml with all resources of
 * its conf.d. Throws the TOML parser's error.
 */
export function fromConfd(given: Given, files: Files): Migrated {
  const items = parseToml(given.text);
  const notes: Note[] = [];
  const isResource = items.some(({ key }) => key === "template");
  if (!isResource) return turnAll({ items, given, path: given.path, keys: confdKeys }, files, notes);

  const above = posix.join(posix.dirname(given.path), "../confd.toml");
  const settings = itemsIn(above, files, notes) ?? [];
  const config = settingsOf({ items: settings, given, path: above, keys: confdKeys }, notes);
  const out: OutFile[] = [...(given.made ?? [])];
  const entries = turnResource(
    items,
    given.path,
    posix.join(posix.dirname(given.path), "../templates"),
    config,
    files,
    notes,
    out,
  );
  return { draft: { ...config.draft, entries }, files: out, notes };
}

/** A command line of confd's, with the resources of its folder. */
export function fromConfdLine(line: CommandLine, given: Given, files: Files): Migrated {
  const { items } = options(line, switches);
  const names: Readonly<Record<string, string>> = {
    "-node": "nodes",
    "-client-ca-keys": "client_cakeys",
    "-client-cert": "client_cert",
    "-client-key": "client_key",
  };
  const known = new Set([
    "-backend",
    "-scheme",
    "-prefix",
    "-confdir",
    "-username",
    "-log-level",
    ...Object.keys(names),
  ]);
  const turned = items.map((item) =>
    known.has(item.key) ? { ...item, key: names[item.key] ?? item.key.slice(1) } : item,
  );
  return turnAll(
    { items: turned, given, path: given.path, keys: { ...confdKeys, ...confdOptions } },
    files,
    [],
  );
}

interface Settings {
  readonly given: Given;
  readonly items: readonly HclItem[];
  readonly path: string;
  readonly keys: Readonly<Record<string, Key>>;
}

function turnAll(settings: Settings, files: Files, notes: Note[]): Migrated {
  const config = settingsOf(settings, notes);
  const folder = config.folder ?? posix.dirname(settings.path);
  const names = files.list(posix.join(folder, "conf.d")).filter((name) => name.endsWith(".toml"));
  const out: OutFile[] = [...(settings.given.made ?? [])];
  const entries = [...names].sort().flatMap((name) => {
    const path = posix.join(folder, "conf.d", name);
    const items = itemsIn(path, files, notes);
    if (items === undefined) return [];
    return turnResource(items, path, posix.join(folder, "templates"), config, files, notes, out);
  });
  if (names.length === 0) {
    const why = "no resource lies there; `portolan migrate confd conf.d/FILE.toml` turns one alone";
    notes.push({ kind: "missing", at: `${settings.path}:1`, what: posix.join(folder, "conf.d"), why });
  }
  return { draft: { ...config.draft, entries }, files: out, notes };
}

/** What stands in a file that was not given itself: undefined where there is none, and told where it is no TOML. */
function itemsIn(path: string, files: Files, notes: Note[]): readonly HclItem[] | undefined {
  const text = files.read(path);
  if (text === undefined) return undefined;
  try {
    return parseToml(text);
  } catch (error) {
    const { line = 1, message } = error as Error & { readonly line?: number };
    const why = `confd cannot read it either: ${oneLine(message)}`;
    notes.push({ kind: "missing", at: `${path}:${line}`, what: "the whole file", why });
    return undefined;
  }
}

interface Config {
  readonly services: string | undefined;
  readonly draft: Omit<Draft, "entries">;
  readonly prefix: string | undefined;
  readonly folder: string | undefined;
}

const levels: Readonly<Record<string, string>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  fatal: "error",
  panic: "error",
};

function settingsOf({ items, given, path, keys }: Settings, notes: Note[]): Config {
  const tell: Tell = (kind, line, what, why) => notes.push({ kind, at: `${path}:${line}`, what, why });
  const taker = takeFrom(items, "", keys, tell);
  const services = given.services?.replace(/^\/*/, "/").replace(/\/+$/, "");
  const backend = items.length === 0 ? undefined : backendOf(taker, services, tell);
  if (items.length === 0) {
    tell("missing", 1, "backend", "nothing there names it; write backend: etcd://HOST:2379/ or the like");
  }
  const level = taker.text("log-level");
  const logLevel = level && levels[level.text];
  const made: Config = {
    draft: { ...(backend !== undefined && { backend }), ...(logLevel !== undefined && { logLevel }) },
    services,
    prefix: taker.text("prefix")?.text,
    folder: taker.text("confdir")?.text,
  };
  taker.finish();
  return made;
}

/** The first port of each backend, for nodes that name none. */
const stores: Readonly<Record<string, { readonly scheme: string; readonly port: number }>> = {
  etcdv3: { scheme: "etcd", port: 2379 },
  etcd: { scheme: "etcd", port: 2379 },
  consul: { scheme: "consul", port: 8500 },
  zookeeper: { scheme: "zookeeper", port: 2181 },
};

function backendOf(taker: Taker, services: string | undefined, tell: Tell): string | undefined {
  const named = taker.text("backend");
  const name = named?.text ?? "etcd";
  const nodes = taker
    .all("nodes")
    .flatMap((value) =>
      value.kind === "list"
        ? value.items.flatMap((one) => ("text" in one ? [one.text] : []))
        : "text" in value
          ? [value.text]
          : [],
    );
  const isTls = taker.text("scheme")?.text === "https" || nodes.some((node) => node.startsWith("https://"));
  const query = [
    ["ca", taker.text("client_cakeys")?.text],
    ["cert", taker.text("client_cert")?.text],
    ["key", taker.text("client_key")?.text],
    ["user", taker.text("username")?.text],
  ].flatMap(([key, word]) => (word ? [`${key}=${word}`] : []));
  const store = stores[name];
  if (store === undefined) {
    tell(
      "missing",
      named?.line ?? 1,
      `backend ${name}`,
      "there is no such backend; put the values into etcd, Consul or ZooKeeper",
    );
    return undefined;
  }
  if (name === "etcd") {
    tell(
      "different",
      named?.line ?? 1,
      "backend etcd",
      "confd speaks etcd's API v2 here, and we v3: keys of the one are not seen by the other",
    );
  }
  const hosts = (nodes.length > 0 ? nodes : ["127.0.0.1"]).map((node) => {
    const host = node.replace(/^https?:\/\//, "").replace(/\/$/, "");
    return /:\d+$/.test(host) ? host : `${host}:${store.port}`;
  });
  if (services !== undefined && store.scheme !== "consul") query.unshift("layout=registrator");
  const scheme = services !== undefined && store.scheme === "consul" ? "consulkv" : store.scheme;
  const start = `${scheme}${isTls ? "+tls" : ""}://${hosts.join(",")}${services ?? ""}`;
  return `${start}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}

function turnResource(
  items: readonly HclItem[],
  path: string,
  templates: string,
  config: Config,
  files: Files,
  notes: Note[],
  out: OutFile[],
): readonly Entry[] {
  const tell: Tell = (kind, line, what, why) => notes.push({ kind, at: `${path}:${line}`, what, why });
  const taker = takeFrom(items, "", confdKeys, tell);
  const template = taker.block("template");
  if (template === undefined) {
    tell("missing", 1, "[template]", "there is none");
    return [];
  }
  const [src, dest] = [template.text("src"), template.text("dest")];
  const own = template.text("prefix")?.text;
  // confd's own prefix takes the place of the resource's.
  const prefix = config.prefix ?? own ?? "";
  const target = templateName(dest?.text ?? src?.text ?? "", new Set(out.map((file) => file.path)));
  if (src) {
    const place = posix.join(templates, src.text);
    const text = files.read(place) ?? files.read(posix.join(posix.dirname(path), src.text));
    if (text !== undefined) {
      out.push(
        ...turnFile(
          {
            text,
            path: place,
            line: 1,
            language: confdLanguage({
              prefix,
              slash: !config.draft.backend?.startsWith("consul"),
              services: config.services,
            }),
          },
          target,
          notes,
        ),
      );
    } else
      tell(
        "missing",
        src.line,
        `src ${src.text}`,
        `${place} cannot be read; \`portolan migrate confd FILE\` turns it alone, into ${target}`,
      );
  }
  const [check, reload] = [template.text("check_cmd"), template.text("reload_cmd")];
  const owner = template.text("owner")?.text ?? template.text("uid")?.text ?? "";
  const group = template.text("gid")?.text;
  const mode = template.text("mode")?.text;
  const entry: Entry = {
    source: target,
    destination: dest?.text ?? "",
    ...(mode !== undefined && { mode: mode.padStart(4, "0") }),
    ...((owner !== "" || group !== undefined) && {
      owner: `${owner}${group === undefined ? "" : `:${group}`}`,
    }),
    ...(check && { check: commandOf(check.text) }),
    ...(reload && { reload: { shell: reload.text } }),
  };
  taker.finish();
  return [entry];
}
