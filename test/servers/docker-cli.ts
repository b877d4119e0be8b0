import { join } from "node:path";
import { exec } from "./exec.ts";
import { executable } from "./programs.ts";
import { stateDir } from "./run.ts";

/** Where a Docker is: plain values, so that they can be handed to another process. */
export interface DockerAddress {
  /** Path of its Unix socket. */
  readonly socket: string;
  /** The address at which the root namespace reaches its published ports. */
  readonly address: string;
}

/** A Docker that tests drive with the docker command line. */
export interface DockerCli extends DockerAddress {
  /** The socket as a URL, as in the DOCKER_HOST variable. */
  readonly dockerHost: string;
  /**
   * Runs `docker ARGS` against it and returns what it printed, trimmed. A `pause` for which the kernel had no time, as
   * on a busy machine, is asked for again.
   * @throws an error with docker's message, or after `within` ms (default 60 s)
   */
  docker(
    args: readonly string[],
    options?: { readonly input?: string; readonly within?: number },
  ): Promise<string>;
}

/** The command line of the Docker at `at`; the user's contexts, credentials and DOCKER_ variables are not used. */
export function dockerCli({ socket, address }: DockerAddress): DockerCli {
  const dockerHost = `unix://${socket}`;
  const env = {
    DOCKER_CONFIG: join(stateDir, "no-docker-config"),
    DOCKER_HOST: dockerHost,
    DOCKER_CONTEXT: "",
    DOCKER_TLS_VERIFY: "",
    DOCKER_CERT_PATH: "",
  };
  const docker: DockerCli["docker"] = async (args, options = {}) => {
    for (let left = 5; ; left -= 1) {
      try {
        return (await exec(executable("docker") ?? "docker", args, { ...options, env })).trim();
      } catch (error) {
        if (left === 0 || !/unable to freeze/.test(String(error))) throw error;
      }
    }
  };
  return { socket, address, dockerHost, docker };
}
