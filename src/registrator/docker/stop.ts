import Docker from "dockerode";
import { before, deadline } from "../../clock.ts";
import { dockerAddress, dockerError } from "./client.ts";
import type { Container } from "./container.ts";

/** ms that Docker has, beyond the container's own stop timeout, to end it. */
const patience = 20_000;

/**
 * Stops a container as `docker stop` does: its stop signal, and SIGKILL after its own stop timeout. Resolves once it
 * has ended; one that does not run any more, or is gone, is fine. A registrator has no need of this, and of the right
 * to do it. Rejects with DOCKER_UNREACHABLE, DOCKER_DENIED, or ABORTED once `signal` is aborted.
 */
export async function stopContainer(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
  container: Pick<Container, "id" | "stopTimeoutSeconds">,
  signal: AbortSignal,
): Promise<void> {
  const limit = deadline(container.stopTimeoutSeconds * 1000 + patience, signal);
  const docker = new Docker(dockerAddress(url, env));
  const late = () => new DOMException("the container did not end in time", "TimeoutError");
  try {
    await before(limit, docker.getContainer(container.id).stop({ abortSignal: limit }), late);
  } catch (error) {
    const status = (error as { statusCode?: unknown }).statusCode;
    if (status === 304 || status === 404) return;
    throw dockerError(url, error, signal);
  }
}
