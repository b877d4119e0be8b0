import { deadline } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { canonical } from "../instance.ts";
import { hostAddress, otherHostAddress } from "../registrator/address/host-address.ts";
import { type Explanation, explain } from "../registrator/explain.ts";
import { lookAtDocker } from "../registrator/look.ts";
import type { Context } from "./context.ts";
import { explanationText } from "./explanation-text.ts";
import { findContainer } from "./find-container.ts";
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
  const explanation = explain(findContainer(wanted, known), {
    engine,
    settings: rules,
    hostAddress: address,
    otherHostAddress: otherAddress,
  });
  print(json ? `${JSON.stringify(record(explanation), undefined, 2)}\n` : explanationText(explanation));
  return 0;
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
