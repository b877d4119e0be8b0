import { deadline } from "../clock.ts";
import type { Values } from "../config/options.ts";
import { PortolanError } from "../errors.ts";
import { canonical } from "../instance.ts";
import { hostAddress, otherHostAddress } from "../registrator/address/host-address.ts";
import { type Evidence, type Explanation, explain } from "../registrator/explain.ts";
import { lookAtDocker } from "../registrator/look.ts";
import { createBackendPool } from "./backend-pool.ts";
import type { Context } from "./context.ts";
import { explanationText } from "./explanation-text.ts";
import { findContainer } from "./find-container.ts";
import { type HeldBackAnswer, heldBackHere } from "./held-back-here.ts";
import { allOverrides } from "./override-notes.ts";
import { registratorSettings } from "./registrator.ts";

/** ms that Docker has for all its answers. */
const patience = 15_000;
/** ms that the backends have to tell what was ordered: without that nearly all can be explained. */
const briefPatience = 3_000;

/**
 * `portolan explain`: asks Docker, the backends that it is given for what was ordered, and the templaters of this host
 * for what they hold back; it changes nothing.
 */
export async function runExplain(context: Context): Promise<number> {
  const { settings, env, stop, print } = context;
  const [wanted] = settings.names;
  if (wanted === undefined) {
    throw new PortolanError(
      "USAGE",
      "explain needs a container: its name, its id, or the beginning of its id",
    );
  }
  const { docker, json } = settings.values;
  const rules = registratorSettings(settings, () => false);
  const [{ engine, known }, ordered, answer] = await Promise.all([
    lookAtDocker(docker, rules, env, deadline(patience, stop)),
    orderedIn(settings.values, env, stop),
    heldBackHere(context),
  ]);
  const address = hostAddress(rules.ip, { env, engine, docker });
  const otherAddress = otherHostAddress(rules.ip, address, { env, engine, docker });
  const explanation = explain(findContainer(wanted, known), {
    engine,
    settings: rules,
    hostAddress: address,
    otherHostAddress: otherAddress,
    ordered,
  });
  const services = new Set(explanation.instances.map(({ instance }) => instance.service));
  const held = { ...answer, heldBack: answer.heldBack.filter(({ service }) => services.has(service)) };
  print(
    json
      ? `${JSON.stringify(record(explanation, held), undefined, 2)}\n`
      : explanationText(explanation, held),
  );
  return 0;
}

/** What operators have ordered, as far as the backends tell it in time. */
async function orderedIn(
  { backend, compat }: Values,
  env: Context["env"],
  stop: AbortSignal,
): Promise<Evidence["ordered"]> {
  const pool = createBackendPool(env);
  try {
    const backends = await pool.open(backend, compat);
    return await allOverrides(backends, deadline(briefPatience, stop));
  } catch (error) {
    return { unknown: error instanceof Error ? error.message : String(error) };
  } finally {
    await pool.close();
  }
}

/** The explanation with the records in their documented order, and what a backend is asked to check. */
function record(
  { instances, notRegistered, remarks, ...rest }: Explanation,
  { heldBack, unknown }: HeldBackAnswer,
): object {
  const records = instances.map(({ instance, origins }) => ({
    ...canonical(instance),
    ...(instance.checks && { checks: instance.checks }),
    origins,
  }));
  const notKnown = unknown.length > 0 && { heldBackUnknown: unknown };
  return { ...rest, instances: records, notRegistered, remarks, heldBack, ...notKnown };
}
