import { constants } from "node:os";
import { type CommandLine, options } from "./command-line.ts";
import type { Language } from "./convert/expression.ts";
import { dockerGenKeys, dockerGenOptions } from "./docker-gen-keys.ts";
import { waitOf } from "./duration.ts";
import type { HclItem, HclValue } from "./hcl.ts";
import type { Draft, Entry, Files, Given, Migrated, OutFile } from "./migrated.ts";
import type { Note, Tell } from "./note.ts";
import { findFile } from "./paths.ts";
import { type Key, type Taker, takeFrom } from "./settings-read.ts";
import { templateName, turnFile } from "./template-file.ts";
import { parseToml } from "./toml.ts";
import { containers } from "./vocabulary/container.ts";
import { dockerGen } from "./vocabulary/docker-gen.ts";
import { go } from "./vocabulary/go.ts";

/** What docker-gen's templates are written in. */
export const dockerGenLanguage: Language = {
  functions: { ...go, ...dockerGen },
  top: { code: "(containers)", shape: containers, free: true },
};

const switches = new Set([
  "watch",
  "notify-output",
  "only-exposed",
  "only-published",
  "include-stopped",
  "keep-blank-lines",
  "tlsverify",
  "version",
]);

/** docker-gen's configuration in TOML. Throws the parser's error. */
export function fromDockerGen(given: Given, files: Files): Migrated {
  return turn(parseToml(given.text).map(lowered), dockerGenKeys, given, files);
}

/** docker-gen takes keys in any case. */
function lowered(item: HclItem): HclItem {
  const { key, value } = item;
  const inner: HclValue =
    value.kind === "object" && key.toLowerCase() === "config"
      ? { ...value, items: value.items.map((one) => ({ ...one, key: one.key.toLowerCase() })) }
      : value;
  return { ...item, key: key.toLowerCase(), value: inner };
}

/** A command line of docker-gen's. */
export function fromDockerGenLine(line: CommandLine, given: Given, files: Files): Migrated {
  const { items, alone } = options(line, switches);
  const text = (word: string): HclValue => ({
    kind: "text",
    text: word,
    line: line.line,
    textLine: line.line,
  });
  const names: Readonly<Record<string, string>> = { "-wait": "wait", "-notify": "notifycmd" };
  const inner: HclItem[] = items.flatMap((item) =>
    names[item.key] ? [{ ...item, key: names[item.key] ?? "" }] : [],
  );
  const others = items.filter((item) => !names[item.key] && !notifies.has(item.key));
  const signal = items.find(({ key }) => key === "-notify-signal")?.value;
  for (const { key, value } of items) {
    if (key !== "-notify-container" && key !== "-notify-sighup") continue;
    const number = key === "-notify-sighup" ? "1" : signal && "text" in signal ? signal.text : "1";
    const name = "text" in value ? value.text : "";
    inner.push({
      key: "notifycontainers",
      line: line.line,
      value: {
        kind: "object",
        line: line.line,
        items: [{ key: name, line: line.line, value: text(number) }],
      },
    });
  }
  const [template, dest] = alone;
  if (template !== undefined) inner.push({ key: "template", line: line.line, value: text(template) });
  if (dest !== undefined) inner.push({ key: "dest", line: line.line, value: text(dest) });
  const config: HclItem = {
    key: "config",
    line: line.line,
    value: { kind: "object", line: line.line, items: inner },
  };
  const all = template === undefined ? others : [config, ...others];
  return turn(all, { ...dockerGenKeys, ...dockerGenOptions }, given, files);
}

const notifies = new Set(["-notify-container", "-notify-sighup", "-notify-signal"]);

function turn(
  items: readonly HclItem[],
  keys: Readonly<Record<string, Key>>,
  { path, made = [] }: Given,
  files: Files,
): Migrated {
  const notes: Note[] = [];
  const tell: Tell = (kind, line, what, why) => notes.push({ kind, at: `${path}:${line}`, what, why });
  const config = takeFrom(items, "", keys, tell);
  const out: OutFile[] = [...made];
  const waits: Draft["wait"][] = [];
  const entries = config.all("config").flatMap((value): readonly Entry[] => {
    if (value.kind !== "object") return [];
    const block = takeFrom(value.items, "config.", keys, tell);
    const wait = block.text("wait");
    if (wait) waits.push(waitOf(wait.text));
    const [template, dest] = [block.text("template"), block.text("dest")];
    if (dest === undefined)
      tell("missing", value.line, "dest", "without one docker-gen prints the file; `portolan render` does");
    const target = templateName(dest?.text ?? template?.text ?? "", new Set(out.map((file) => file.path)));
    // Of several files the first is the template; the others define what it includes.
    const found = (template?.text ?? "")
      .split(";")
      .map((name) => ({ name, file: findFile(name, path, files) }));
    for (const { name, file } of found) {
      if (file === undefined)
        tell(
          "missing",
          template?.line ?? value.line,
          `template ${name}`,
          `it cannot be read; \`portolan migrate docker-gen FILE\` turns it alone, into ${target}`,
        );
    }
    const [first] = found;
    if (found.length > 1)
      tell(
        "missing",
        template?.line ?? value.line,
        `template ${template?.text}`,
        "put the {{define}}s of all files into the first one, and migrate again",
      );
    if (first?.file)
      out.push(...turnFile({ ...first.file, line: 1, language: dockerGenLanguage }, target, notes));
    const reload = reloadOf(block, tell);
    block.finish();
    return dest === undefined ? [] : [{ source: target, destination: dest.text, ...(reload && { reload }) }];
  });
  const wait = [...waits].find((one) => one !== undefined);
  if (new Set(waits.map((one) => JSON.stringify(one))).size > 1) {
    tell("missing", 1, "wait", "one window counts for all templates: templater.wait");
  }
  config.finish();
  return { draft: { entries, ...(wait && { wait }) }, files: out, notes };
}

function reloadOf(block: Taker, tell: Tell): Readonly<Record<string, unknown>> | undefined {
  const command = block.text("notifycmd");
  const targets = block
    .all("notifycontainers")
    .flatMap((value) => (value.kind === "object" ? value.items : []));
  const given = block.text("notifycontainerssignal")?.text;
  const [first, ...more] = targets;
  if (command) {
    for (const { key, line } of targets)
      tell(
        "missing",
        line,
        `notify ${key}`,
        "a target has one reload; make the command do both, or give the container a target of its own",
      );
    return { shell: command.text };
  }
  for (const { key, line } of more)
    tell(
      "missing",
      line,
      `notify ${key}`,
      "a target has one reload, and one container; write a `shell:` for several",
    );
  if (first === undefined) return undefined;
  const number = Number("text" in first.value ? first.value.text : (given ?? 1));
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  if (name === undefined) {
    tell(
      "missing",
      first.line,
      `notify ${first.key} ${number}`,
      'a restart is no reload; write reload: { shell: "docker restart …" }',
    );
    return undefined;
  }
  return { container: { name: first.key, signal: name.replace(/^SIG/, "") } };
}
