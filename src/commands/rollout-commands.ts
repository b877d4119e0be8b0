import type { Env } from "../config/settings.ts";
import { PortolanError } from "../errors.ts";
import type { Container } from "../registrator/docker/container.ts";

/** What replaces one container: command lines, each after the one before, and variables for them. */
export interface Replacement {
  /** They make the new container, and may end the old one. */
  readonly make: readonly (readonly string[])[];
  /** They end the old one, once the new one is ready. */
  readonly end: readonly (readonly string[])[];
  readonly env: Readonly<Record<string, string>>;
}

const compose = "com.docker.compose";

/**
 * How a container is replaced when nobody gives a command: by compose, with the project and files that it was
 * made with, unless the environment names others. Compose would recreate all containers of a service at once, so where
 * there are several, it makes one more, and this one is stopped and removed when that is ready. Throws USAGE for a
 * container that compose has not made.
 */
export function composeReplacement(
  { id, name, labels }: Pick<Container, "id" | "name" | "labels">,
  all: Iterable<Pick<Container, "labels">>,
  env: Env,
): Replacement {
  const service = labels[`${compose}.service`];
  const project = labels[`${compose}.project`];
  if (service === undefined || project === undefined)
    throw new PortolanError(
      "USAGE",
      `compose has not made ${name}, so nobody knows how to replace it; give a command that does: portolan rollout ${name} -- ./replace.sh (it gets PORTOLAN_CONTAINER=${name})`,
    );
  const files = labels[`${compose}.project.config_files`];
  const variables = {
    COMPOSE_PROJECT_NAME: project,
    // Between the files stands a comma in the label, and what the variable beside it says in the other one.
    ...(files && { COMPOSE_FILE: files, COMPOSE_PATH_SEPARATOR: "," }),
  };
  const isGiven = env.COMPOSE_FILE || env.COMPOSE_PROJECT_NAME;
  const isSibling = (one: Pick<Container, "labels">) =>
    one.labels[`${compose}.service`] === service && one.labels[`${compose}.project`] === project;
  const count = [...all].filter(isSibling).length;
  const up = ["docker", "compose", "up", "-d", "--no-deps"];
  const ways =
    count > 1
      ? {
          make: [[...up, "--no-recreate", "--scale", `${service}=${count + 1}`, service]],
          end: [
            ["docker", "stop", id],
            ["docker", "rm", id],
          ],
        }
      : { make: [[...up, "--force-recreate", service]], end: [] };
  return { ...ways, env: isGiven ? {} : variables };
}
