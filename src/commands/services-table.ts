import type { Instance } from "../instance.ts";
import { formatAddress } from "../status/address.ts";

const head = ["SERVICE", "ADDRESS", "STATE", "TAGS", "NODE", "ID"];

/** The instances as a table for people. Control characters in names and tags are made visible. */
export function servicesTable(instances: readonly Instance[]): string {
  if (instances.length === 0) return "no instances\n";
  const rows = [head, ...instances.map(row)];
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function row({ service, address, port, protocol, state, tags, node, id }: Instance): readonly string[] {
  const where = formatAddress(address, port) + (protocol === "tcp" ? "" : `/${protocol}`);
  return [service, where, state, tags.join(",") || "-", node, id].map((cell) =>
    cell.replace(/[\0-\x1f\x7f-\x9f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`),
  );
}
