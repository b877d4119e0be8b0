import { canonical, compare, type Instance, refKey } from "../instance.ts";
import type { Plan } from "./plan.ts";

/**
 * What a plan would change, one line for each record, by id: `+ id service address:port state` for a new one,
 * `- …` for one that would go, `~ id service field: before -> after, …` for one that would change.
 */
export function differences(
  { deregister, register }: Pick<Plan, "deregister" | "register">,
  held: ReadonlyMap<string, Instance>,
): readonly string[] {
  const lines = [
    ...deregister.map((instance) => ({ id: instance.id, text: `- ${summary(instance)}` })),
    ...register.map((instance) => {
      const before = held.get(refKey(instance));
      if (!before) return { id: instance.id, text: `+ ${summary(instance)}` };
      return { id: instance.id, text: `~ ${instance.id} ${instance.service} ${changes(before, instance)}` };
    }),
  ];
  return lines.sort((a, b) => compare(a.id, b.id)).map(({ text }) => text);
}

function summary({ id, service, address, port, state }: Instance): string {
  return `${id} ${service} ${address.includes(":") ? `[${address}]` : address}:${port} ${state}`;
}

function changes(before: Instance, after: Instance): string {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const keys = [...new Set([...old.keys(), ...now.keys()])];
  return keys
    .map((key) => ({ key, from: old.get(key), to: now.get(key) }))
    .filter(({ from, to }) => from !== to)
    .map(({ key, from = "nothing", to = "nothing" }) => `${key}: ${from} -> ${to}`)
    .join(", ");
}

/** The fields of a record, each as JSON. */
function fieldsOf(instance: Instance): ReadonlyMap<string, string> {
  return new Map(Object.entries(canonical(instance)).map(([key, value]) => [key, JSON.stringify(value)]));
}
