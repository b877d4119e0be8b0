// The machine's own package source, pointed at another release of the same archive.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** An apt source file: its name's ending tells apt the format. */
export interface AptSource {
  readonly fileName: "other.sources" | "other.list";
  readonly text: string;
}

/**
 * Copies each source of `etc` (an /etc/apt) that holds a whole release, with `suite` and `component` instead of
 * its own; its address, keys and options stay. Some may be other people's archives, which do not have the suite.
 * Both formats of sources.list(5) are read: deb822 paragraphs and one-line entries.
 */
export function sourcesOfSuite(etc: string, suite: string, component: string): readonly AptSource[] {
  const parts = list(join(etc, "sources.list.d")).map((name) => join(etc, "sources.list.d", name));
  const paragraphs = parts
    .filter((file) => file.endsWith(".sources"))
    .flatMap((file) => read(file).split(/\n\s*\n/))
    .flatMap((paragraph) => repointParagraph(paragraph, suite, component) ?? [])
    .map((text) => ({ fileName: "other.sources", text }) as const);
  const lines = [join(etc, "sources.list"), ...parts.filter((file) => file.endsWith(".list"))]
    .flatMap((file) => read(file).split("\n"))
    .flatMap((line) => repointLine(line, suite, component) ?? [])
    .map((text) => ({ fileName: "other.list", text }) as const);
  return [...paragraphs, ...lines];
}

/** Not the small side suites of a release, which live beside it and often on another host. */
const isWhole = (suite: string): boolean => /^[a-z]+$/.test(suite);

function repointParagraph(paragraph: string, suite: string, component: string): string | undefined {
  const lines = paragraph.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const field = (name: string): string =>
    (new RegExp(`^${name}:(?<value>.*)$`, "im").exec(lines.join("\n"))?.groups?.value ?? "").trim();
  const usable =
    field("Types").split(/\s+/).includes("deb") &&
    field("Suites").split(/\s+/).some(isWhole) &&
    field("Components").split(/\s+/).includes("main") &&
    !/^no$/i.test(field("Enabled"));
  if (!usable) return undefined;
  const kept = lines.filter((line) => !/^(Types|Suites|Components):/i.test(line));
  return [...kept, "Types: deb", `Suites: ${suite}`, `Components: ${component}`, ""].join("\n");
}

function repointLine(line: string, suite: string, component: string): string | undefined {
  const entry = /^\s*deb\s+(?<options>\[[^\]]*\]\s+)?(?<uri>\S+)\s+(?<suite>\S+)\s+(?<components>[^#]*)/.exec(
    line,
  )?.groups;
  if (entry === undefined || !isWhole(entry.suite ?? "") || !/\bmain\b/.test(entry.components ?? ""))
    return undefined;
  return `deb ${entry.options ?? ""}${entry.uri} ${suite} ${component}\n`;
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
