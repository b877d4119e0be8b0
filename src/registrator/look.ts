import { before, untilWallTime } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { connectDocker, type DockerClient } from "./docker/client.ts";
import type { Engine } from "./docker/engine.ts";
import type { Known } from "./explain.ts";
import type { RegistratorSettings } from "./settings.ts";
import { watchDocker } from "./watch.ts";

/** One look at a Docker: what runs on it, and all containers that it knows. */
export interface Look {
  readonly engine: Engine;
  /** In Docker's order. */
  readonly known: readonly Known[];
  /** ms by which Docker's clock is ahead of the one here, as it was at the connection; undefined where it does not tell. */
  readonly ahead: number | undefined;
}

/**
 * Looks at a Docker as a registrator with these settings would, then leaves it. Rejects with Docker's own
 * problem where it refuses, with DOCKER_UNREACHABLE or its problem when `limit` aborts before it has answered.
 */
export async function lookAtDocker(
  docker: string,
  settings: RegistratorSettings,
  env: Readonly<Record<string, string | undefined>>,
  limit: AbortSignal,
): Promise<Look> {
  let client: DockerClient | undefined;
  let ahead: number | undefined;
  const source = watchDocker(docker, settings, {
    env,
    connect: async (...args) => {
      client = await connectDocker(...args);
      if (client.now > 0) ahead = untilWallTime(new Date(client.now * 1000).toISOString());
      return client;
    },
  });
  try {
    const answered = new Promise<Engine>((resolve, reject) => {
      const look = () => {
        const observed = source.current();
        if (observed.known) resolve(observed.value);
        // Nobody waits here for a Docker that may come back.
        else if (observed.problem) reject(observed.problem.error);
      };
      source.subscribe(look);
      look();
    });
    const late = () =>
      new PortolanError("DOCKER_UNREACHABLE", `Docker at ${docker}: no answer in time; is it running?`);
    const engine = await before(limit, answered, late);
    const listed = (await client?.list(true, limit)) ?? [];
    const known = listed.map(({ Id: id, Names: names, State: state }) => ({
      id,
      name: (names[0] ?? id).replace(/^\//, ""),
      state,
    }));
    return { engine, known, ahead };
  } finally {
    await source.close();
  }
}
