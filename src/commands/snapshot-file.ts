import { readFile } from "node:fs/promises";
import type { Snapshot } from "../backends/backend.ts";
import { inOrder } from "../backends/records.ts";
import { coded, PortolanError } from "../errors.ts";
import { decodeInstance, type Instance } from "../instance.ts";

/** Reads the output of `services --json` as all that a backend holds. Rejects with USAGE or RECORD. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  let records: unknown;
  try {
    records = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw coded("USAGE", error, `--snapshot ${path}: `);
  }
  if (!Array.isArray(records)) {
    throw new PortolanError(
      "USAGE",
      `--snapshot ${path}: not an array; write one with \`portolan services --json\``,
    );
  }
  const services = new Map<string, Instance[]>();
  for (const [index, record] of records.entries()) {
    const instance = decodeInstance(JSON.stringify(record), `${path}[${index}]`);
    services.set(instance.service, [...(services.get(instance.service) ?? []), instance]);
  }
  return { services: inOrder(services), complete: true, invalid: new Map() };
}
