import { deadline } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import type { ContainerReload } from "../target.ts";
import { askDocker, type DockerAnswer, unframed } from "./docker.ts";
import { type Left, ReloadError, type Reloader } from "./reloader.ts";

/**
 * Signals a container, or runs a program in it, whose exit code 0 is acceptance. Docker cannot end a program
 * that it runs in a container: one that hangs is left to it at the timeout.
 */
export function containerReload({ name, action, docker }: ContainerReload): Reloader {
  return async ({ destination, timeout, env }, signal) => {
    const host = docker ?? (env.DOCKER_HOST || "unix:///var/run/docker.sock");
    const limit = deadline(timeout, signal);
    const failed = (left: Left, reason: string, cause?: unknown) =>
      new ReloadError(left, `the reload of ${destination} failed: container ${name}: ${reason}`, { cause });

    let left: Left = "none";
    const ask = async (method: "GET" | "POST", path: string, body?: unknown): Promise<DockerAnswer> => {
      try {
        const answer = await askDocker(host, method, path, body, limit);
        if (answer.status < 300) return answer;
        throw failed(
          left,
          `Docker answered ${answer.status}: ${reasonOf(answer.body)}${wayOut(answer.status)}`,
        );
      } catch (error) {
        if (error instanceof PortolanError) throw error;
        if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
        if (limit.aborted) throw failed("open", `not done within ${timeout / 1000} s`, error);
        throw failed(left, `${host}: ${error instanceof Error ? error.message : error}`, error);
      }
    };

    const path = `/containers/${encodeURIComponent(name)}`;
    if ("signal" in action) {
      await ask("POST", `${path}/kill?signal=${action.signal}`);
      return { accepted: "reload" };
    }
    const exec = { AttachStdout: true, AttachStderr: true, Cmd: action.exec };
    const { Id: id } = json(await ask("POST", `${path}/exec`, exec));
    left = "open";
    const { body } = await ask("POST", `/exec/${id}/start`, { Detach: false, Tty: false });
    const { ExitCode: code } = json(await ask("GET", `/exec/${id}/json`));
    if (code === 0) return { accepted: "reload" };
    const output = unframed(body).trim().slice(-8192);
    const printed = output === "" ? " and printed nothing" : `:\n${output}`;
    throw failed(
      code === 126 || code === 127 ? "none" : "open",
      `the program exited with code ${code}${printed}`,
    );
  };
}

function json({ body }: DockerAnswer): Readonly<Record<string, unknown>> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

function reasonOf(body: Buffer): string {
  try {
    return String((JSON.parse(body.toString()) as { message?: unknown }).message);
  } catch {
    return body.toString().trim().slice(0, 500);
  }
}

function wayOut(status: number): string {
  if (status === 403) return "; a socket proxy has to let POST through";
  return status === 404 || status === 409 ? "; start it, or correct name" : "";
}
