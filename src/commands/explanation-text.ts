import type { Explanation, Reason } from "../registrator/explain.ts";
import { shown, visible } from "../registrator/rules/shown.ts";
import { formatAddress } from "../status/address.ts";
import type { HeldBackAnswer } from "./held-back-here.ts";

/**
 * An explanation for people: what is registered, field by field, then what is not, then what should be mended, then what
 * of it does not show in the files of this host.
 */
export function explanationText(explanation: Explanation, { heldBack, unknown }: HeldBackAnswer): string {
  const { container, instances, notRegistered, remarks, overridesUnknown } = explanation;
  const sections = [
    [headline(container), circumstances(explanation)],
    ...instances.map(instanceLines),
    ...section(instances.length === 0 ? "Not registered" : "Not registered besides", notRegistered),
    ...section("To be mended", remarks),
    ...section("Held back", heldBack.map(heldBackReason)),
    ...(overridesUnknown === undefined
      ? []
      : [[`Not known: what \`tag\` and \`drain\` have ordered: ${shown(overridesUnknown)}`]]),
    ...unknown.map((why) => [`Not known: what is held back by ${visible(why)}`]),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

const heldBackReason = ({ destination, service, why }: HeldBackAnswer["heldBack"][number]) => ({
  reason: `${visible(destination)} has ${shown(service)} as it was, because its check refuses it now: ${visible(why)}`,
});

function headline({ name, id, image, state }: Explanation["container"]): string {
  return [`${shown(name)} (${id.slice(0, 12)})`, ...(image === undefined ? [] : [shown(image)]), state].join(
    ", ",
  );
}

function circumstances({ node, rules, hostAddress, hostAddressUnknown }: Explanation): string {
  const address = hostAddress ?? `not known: ${shown(hostAddressUnknown ?? "")}`;
  return `node ${shown(node)}; rules of ${rules}; the host's address is ${address}`;
}

function instanceLines({ instance, origins }: Explanation["instances"][number]): readonly string[] {
  const { service, address, port, tags, weight, state, role, meta, checks = {} } = instance;
  const fields: (readonly [field: string, value: string])[] = [
    ["service", service],
    ["id", instance.id],
    ["address", address],
    ["port", String(port)],
    ["protocol", instance.protocol],
    ["tags", tags.join(",")],
    ["weight", String(weight)],
    ["state", state],
    ...(role === undefined && origins.role === undefined ? [] : [["role", role ?? ""] as const]),
    ...Object.entries(meta).map(([key, value]) => [`meta.${key}`, value] as const),
    ...Object.entries(checks).map(([key, value]) => [`checks.${key}`, value] as const),
  ];
  const rows = fields.map(([field, value]) => [shown(field), shown(value) || "-", origins[field] ?? ""]);
  return [`Registered: ${shown(service)} at ${formatAddress(address, port)}`, ...columns(rows)];
}

function section(title: string, reasons: readonly Reason[]): readonly (readonly string[])[] {
  if (reasons.length === 0) return [];
  return [
    [
      `${title}:`,
      ...reasons.map(({ port, reason }) => `  ${port === undefined ? "" : `port ${port}: `}${reason}`),
    ],
  ];
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const width = (column: number) =>
    Math.min(40, Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const widths = [width(0), width(1)];
  return rows.map((cells) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
  );
}
