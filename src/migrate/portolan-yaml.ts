import { stringify } from "yaml";
import type { Draft, Entry } from "./migrated.ts";
import type { Note } from "./note.ts";

/** Writes our configuration, with what is missing from it at its top. */
export function portolanYaml(draft: Draft, notes: readonly Note[], from: string): string {
  const { backend, logLevel, wait, entries } = draft;
  const missing = notes.filter(({ kind }) => kind === "missing");
  const templater = {
    ...(wait && { wait }),
    templates: entries.map(inOrder),
  };
  const config = {
    ...(backend !== undefined && { backend }),
    ...(logLevel !== undefined && { logLevel }),
    templater,
  };
  const head = [
    `Turned from ${from} by \`portolan migrate\`.`,
    ...(missing.length > 0
      ? ["Not turned:", ...missing.map(({ at, what, why }) => `  ${at}: ${what}: ${why}`)]
      : []),
  ];
  if (entries.some(({ destination, check }) => check === undefined && /haproxy/.test(destination))) {
    head.push(
      'Nothing checks the file before it is swapped; add check: [haproxy, -c, -f, "{{src}}"] where HAProxy reads it.',
    );
  }
  const body = stringify(config, { lineWidth: 0, flowCollectionPadding: false });
  return `${head.map((line) => `# ${line}\n`).join("")}${body}`;
}

function inOrder({ source, destination, ...rest }: Entry): object {
  const { mode, owner, backups, check, reload, splay, timeout, guard } = rest;
  const all = { source, destination, mode, owner, backups, check, reload, splay, timeout, guard };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
