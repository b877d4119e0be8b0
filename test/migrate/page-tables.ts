import { confdKeys, confdOptions } from "../../src/migrate/confd-keys.ts";
import { consulTemplateKeys, consulTemplateOptions } from "../../src/migrate/consul-template-keys.ts";
import { dockerGenKeys, dockerGenOptions } from "../../src/migrate/docker-gen-keys.ts";
import type { Tool } from "../../src/migrate/index.ts";
import type { Key } from "../../src/migrate/settings-read.ts";
import { confd } from "../../src/migrate/vocabulary/confd.ts";
import { consulTemplate } from "../../src/migrate/vocabulary/consul-template.ts";
import { dockerGen } from "../../src/migrate/vocabulary/docker-gen.ts";
import type { Vocabulary } from "../../src/migrate/vocabulary/entry.ts";
import { go } from "../../src/migrate/vocabulary/go.ts";

/** A table of a page: what stands in its first row, and the cells of the others. */
export interface Table {
  readonly head: readonly [string, string];
  readonly rows: readonly (readonly [string, string])[];
}

const cell = (text: string) => text.replaceAll("|", "\\|");

function functionRows(vocabulary: Vocabulary): Table["rows"] {
  return Object.entries(vocabulary).map(([name, { args, here, turn, differs }]) => {
    const way = turn === undefined ? `not turned: ${here}` : here;
    return [
      cell(`\`${`${name} ${args}`.trim()}\``),
      cell(differs === undefined ? way : `${way}; ${differs}`),
    ];
  });
}

function keyRows(keys: Readonly<Record<string, Key>>): Table["rows"] {
  return Object.entries(keys).map(([name, { here }]) => [cell(`\`${name}\``), cell(here)]);
}

function tablesOf(
  vocabulary: Vocabulary,
  keys: Readonly<Record<string, Key>>,
  options: Readonly<Record<string, Key>>,
): readonly Table[] {
  return [
    { head: ["key", "here"], rows: keyRows(keys) },
    { head: ["option", "here"], rows: keyRows(options) },
    { head: ["function", "here"], rows: functionRows(vocabulary) },
    { head: ["of every Go template", "here"], rows: functionRows(go) },
  ];
}

/** The tables that the page about a tool has. */
export const tables: Readonly<Record<Tool, readonly Table[]>> = {
  "consul-template": tablesOf(consulTemplate, consulTemplateKeys, consulTemplateOptions),
  confd: tablesOf(confd({ prefix: "", slash: true }), confdKeys, confdOptions),
  "docker-gen": tablesOf(dockerGen, dockerGenKeys, dockerGenOptions),
};

/** A table as Markdown, its columns aligned. */
export function markdown({ head, rows }: Table): string {
  const all = [head, ...rows];
  const wide = (at: 0 | 1) => Math.max(...all.map((row) => row[at].length));
  const line = ([a, b]: readonly [string, string]) => `| ${a.padEnd(wide(0))} | ${b.padEnd(wide(1))} |\n`;
  return `${line(head)}| ${"-".repeat(wide(0))} | ${"-".repeat(wide(1))} |\n${rows.map(line).join("")}`;
}
