import type { Instance } from "../instance.ts";
import type { Order, Override } from "../override.ts";
import { isAbout } from "../registrator/overrides/apply.ts";
import { formatAddress } from "../status/address.ts";

const head = ["SERVICE", "ADDRESS", "STATE", "TAGS", "NODE", "ID"];

/**
 * The instances as a table for people, with a column of what operators have ordered of them where there is
 * anything. Control characters in names and tags are made visible.
 */
export function servicesTable(instances: readonly Instance[], overrides: readonly Override[]): string {
  if (instances.length === 0) return "no instances\n";
  const ordered = instances.map((instance) => ordersOf(instance, overrides));
  const hasOrders = ordered.some((text) => text !== "");
  const rows = [
    hasOrders ? [...head, "OVERRIDE"] : head,
    ...instances.map((instance, at) => [...row(instance), ...(hasOrders ? [ordered[at] || "-"] : [])]),
  ].map((cells) => cells.map(visible));
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
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
  return [service, where, state, tags.join(",") || "-", node, id];
}

/** `+master -slave by ann@lb-1; drain by ann@lb-1 until 2026-01-31T12:10:00Z`; empty where nothing is ordered. */
function ordersOf(instance: Instance, overrides: readonly Override[]): string {
  const its = overrides.filter((one) => isAbout(one, instance));
  return its
    .flatMap(({ tags, drain }) => [
      ...(tags
        ? [
            said(
              [...tags.added.map((tag) => `+${tag}`), ...tags.removed.map((tag) => `-${tag}`)].join(" "),
              tags,
            ),
          ]
        : []),
      ...(drain ? [said("drain", drain)] : []),
    ])
    .join("; ");
}

function said(what: string, { by, until }: Order): string {
  return `${what} by ${by}${until === undefined ? "" : ` until ${until}`}`;
}

function visible(cell: string): string {
  return cell.replace(
    /[\0-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
