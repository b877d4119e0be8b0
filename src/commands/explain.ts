import { deadline } from "../clock.ts";
import { nearest } from "../config/nearest.ts";
import { PortolanError } from "../errors.ts";
import { canonical } from "../instance.ts";
import { hostAddress, otherHostAddress } from "../registrator/address/host-address.ts";
import { type Explanation, explain, type Known } from "../registrator/explain.ts";
import { lookAtDocker } from "../registrator/look.ts";
import { shown } from "../registrator/rules/shown.ts";
import type { Context } from "./context.ts";
import { explanationText } from "./explanation-text.ts";
import { registratorSettings } from "./registrator.ts";

/** ms that Docker has for all its answers. */
const patience = 15_000;

/** `portolan explain`: asks Docker only, and changes nothing. */
export async function runExplain({ settings, env, stop, print }: Context): Promise<number> {
  const [wanted] = settings.names;
  if (wanted === undefined) {
    throw new PortolanError(
      "USAGE",
      "explain needs a container: its name, its id, or the beginning of its id",
    );
  }
  const { docker, json } = settings.values;
  const rules = registratorSettings(settings, () => false);
  const { engine, known } = await lookAtDocker(docker, rules, env, deadline(patience, stop));
  const address = hostAddress(rules.ip, { env, engine, docker });
  const otherAddress = otherHostAddress(rules.ip, address, { env, engine, docker });
  const explanation = explain(find(wanted, known), {
    engine,
    settings: rules,
    hostAddress: address,
    otherHostAddress: otherAddress,
  });
  print(json ? `${JSON.stringify(record(explanation), undefined, 2)}\n` : explanationText(explanation));
  return 0;
}

/** By name, id, or the beginning of an id. Throws CONTAINER_UNKNOWN. */
function find(wanted: string, known: readonly Known[]): Known {
  const exact = known.find(({ id, name }) => name === wanted.replace(/^\//, "") || id === wanted);
  if (exact) return exact;
  const byId = known.filter(({ id }) => id.startsWith(wanted));
  if (byId.length === 1 && byId[0]) return byId[0];
  if (byId.length > 1) {
    const names = byId.map(({ name, id }) => `${name} (${id.slice(0, 12)})`).join(", ");
    throw new PortolanError(
      "CONTAINER_UNKNOWN",
      `${shown(wanted)} begins several ids: ${names}; give more of it`,
    );
  }
  const close = nearest(
    wanted,
    known.map(({ name }) => name),
  );
  const hint = close === undefined ? "; this Docker has no container" : `; the nearest name is ${close}`;
  throw new PortolanError("CONTAINER_UNKNOWN", `there is no container ${shown(wanted)}${hint}`);
}

/** The explanation with the records in their documented order, and what a backend is asked to check. */
function record({ instances, notRegistered, remarks, ...rest }: Explanation): object {
  const records = instances.map(({ instance, origins }) => ({
    ...canonical(instance),
    ...(instance.checks && { checks: instance.checks }),
    origins,
  }));
  return { ...rest, instances: records, notRegistered, remarks };
}
