import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseArguments } from "../src/config/arguments.ts";
import { longName, options } from "../src/config/options.ts";
import { readSettings } from "../src/config/settings.ts";
import type { Instance } from "../src/instance.ts";
import { desired } from "../src/registrator/desired.ts";
import type { Container, ContainerPort } from "../src/registrator/docker/container.ts";
import { container, engine, settings } from "./registrator/build.ts";

const file = join(import.meta.dirname, "../docs/migrating-from-registrator.md");
const page = readFileSync(file, "utf8");

/** The rows of the table whose first heading begins so: cells, without the headings. */
function rowsOf(heading: string): readonly (readonly string[])[] {
  const [, table = ""] = page.split(new RegExp(`^\\| ${heading}.*\\n\\| -.*\\n`, "m"));
  const lines = table.split("\n");
  return lines
    .slice(
      0,
      lines.findIndex((line) => !line.startsWith("|")),
    )
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The words in backquotes. */
const quoted = (cell = "") => [...cell.matchAll(/`([^`]*)`/g)].map((match) => match[1] ?? "");

describe("docs/migrating-from-registrator.md", () => {
  const lines = [...page.matchAll(/^ *(?:# before: )?(?:portolan )?(registrator -.*)$/gm)];

  it.each(lines.map((match) => match[1] ?? ""))("the command line is understood: %s", async (line) => {
    const given = await parseArguments(line.split(" "));
    const read = await readSettings({ ...given, command: "registrator" }, {}, "/");
    expect(read.mistakes).toEqual([]);
  });

  it("names only options that are there", () => {
    const named = [...page.matchAll(/(?<![-\w])--([a-z][a-z-]+)/g)].map((match) => match[1] ?? "");
    const known = new Set(Object.keys(options).map(longName));
    const others = ["format", "net", "label", "network"];
    expect(named.filter((name) => !known.has(name) && !others.includes(name))).toEqual([]);
  });

  it("explains every option that registrator has, and those of its forks", () => {
    const explained = rowsOf("registrator +\\| here").map(([first]) => quoted(first)[0]?.split(" ")[0]);
    for (const option of [
      ...["-ip", "-internal", "-explicit", "-useIpFromLabel", "-tags", "-resync", "-ttl", "-ttl-refresh"],
      ...["-cleanup", "-deregister", "-retry-attempts", "-retry-interval"],
      ...["-require-label", "-ip-from-container", "-ip-lookup-source"],
    ]) {
      expect(explained).toContain(option);
    }
  });
});

/** The container that `docker run` starts with these words, as far as the table uses them. */
function run(words: readonly string[]): Container {
  const over: { image?: string; labels: Record<string, string> } = { labels: {} };
  const ports = new Map<string, ContainerPort>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--label") {
      const [key = "", value = ""] = (words[++at] ?? "").split("=");
      over.labels[key] = value;
    } else if (word === "-p") {
      const [, address, host, port, protocol = "tcp"] =
        /^(?:([\d.]+):)?(\d+):(\d+)(?:\/(\w+))?$/.exec(words[++at] ?? "") ?? [];
      const ends = address ? [address] : ["0.0.0.0", "::"];
      const bindings = ends.map((end) => ({ address: end, port: Number(host) }));
      const before = ports.get(`${port}/${protocol}`);
      const all = [...(before?.bindings ?? []), ...bindings].sort(
        (a, b) => Number(a.address.includes(":")) - Number(b.address.includes(":")),
      );
      ports.set(`${port}/${protocol}`, {
        port: Number(port),
        protocol: protocol as ContainerPort["protocol"],
        bindings: all,
        first: before?.first ?? all[0] ?? null,
      });
    } else over.image = word;
  }
  return container({ ...over, ports: [...ports.values()].sort((a, b) => a.port - b.port) });
}

const fields: Readonly<Record<string, (instances: readonly Instance[]) => readonly (string | number)[]>> = {
  tags: (all) => all.flatMap(({ tags }) => tags),
  port: (all) => all.map(({ port }) => port),
  name: (all) => all.map(({ service }) => service),
  id: (all) => all.map(({ id }) => id),
  address: (all) => all.map(({ address }) => address),
  weight: (all) => all.map(({ weight }) => weight),
};

describe("what differs without --compat registrator", () => {
  const rows = rowsOf("`docker run`");
  it("is a table", () => expect(rows.length).toBeGreaterThan(15));

  it.each(rows)("docker run %s: %s is %s, else %s", (first, what, compat, native) => {
    const words = (quoted(first)[0] ?? "").split(" ");
    const registered = (mode: "registrator" | undefined) =>
      desired(engine(run(words)), settings({ ip: "10.1.2.3", compat: mode }), "10.1.2.3").instances;
    const field = fields[what ?? ""];
    expect(field?.(registered("registrator")).map(String)).toEqual(quoted(compat));
    expect(field?.(registered(undefined)).map(String)).toEqual(quoted(native));
  });
});
