import Docker from "dockerode";
import { PortolanError } from "../../errors.ts";
import { call, dockerAddress, statusOf } from "./client.ts";
import type { Container } from "./container.ts";

/** ms that Docker has, beyond the container's own stop timeout, to end it. */
const patience = 20_000;

/**
 * Stops a container as `docker stop` does: its stop signal, and SIGKILL after its own stop timeout. Resolves once it
 * has ended; one that does not run any more, or is gone, is fine. A registrator has no need of this, nor of the right
 * to do it. Rejects with DOCKER_UNREACHABLE, DOCKER_DENIED, or ABORTED once `signal` is aborted.
 */
export async function stopContainer(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
  { id, name, stopTimeoutSeconds }: Pick<Container, "id" | "name" | "stopTimeoutSeconds">,
  signal: AbortSignal,
): Promise<void> {
  const docker = new Docker(dockerAddress(url, env));
  const ms = stopTimeoutSeconds * 1000 + patience;
  try {
    await call(url, signal, (options) => docker.getContainer(id).stop(options), ms);
  } catch (error) {
    const status = statusOf(error);
    if (status === 304 || status === 404) return;
    if (status !== 403) throw error;
    // A proxy in front of the socket, which lets a registrator read.
    throw new PortolanError(
      "DOCKER_DENIED",
      `Docker at ${url} does not let ${name} be stopped; allow POST /containers/${name}/stop, or give another --docker`,
      { cause: error },
    );
  }
}
