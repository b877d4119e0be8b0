import { describe, expect, inject, it, onTestFinished } from "vitest";
import { reloaderOf } from "../../src/templater/reload/index.ts";
import type { ContainerReload } from "../../src/templater/target.ts";
import { dockerCli } from "../servers/docker.ts";
import { webImage } from "../servers/image.ts";
import { waitFor } from "../servers/wait.ts";

const docker = dockerCli(inject("docker"));

/** A container that notes signals, and its name. */
async function startContainer(): Promise<string> {
  const name = `reload-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const script = "trap 'echo hup >> /tmp/seen' HUP; touch /tmp/up; while :; do sleep 0.1; done";
  await docker.docker(["run", "-d", "--name", name, "--entrypoint", "sh", webImage, "-c", script]);
  onTestFinished(async () => void (await docker.docker(["rm", "-f", name])));
  await waitFor("its trap", () => docker.docker(["exec", name, "ls", "/tmp/up"]).catch(() => ""), {
    within: 30_000,
  });
  return name;
}

const reload = (
  given: Pick<ContainerReload, "name" | "action"> & Partial<ContainerReload>,
  timeout = 20_000,
  env = {},
) =>
  reloaderOf({ kind: "container", docker: docker.dockerHost, ...given })(
    {
      destination: "/etc/proxy.cfg",
      changes: [],
      swappedAt: undefined,
      timeout,
      env,
      interval: async () => {},
      clearance: async () => undefined,
    },
    new AbortController().signal,
  );

describe("reload: container", () => {
  it("sends a signal", async () => {
    const name = await startContainer();
    await reload({ name, action: { signal: "SIGHUP" } });
    const seen = () => docker.docker(["exec", name, "cat", "/tmp/seen"]).catch(() => "");
    await waitFor("the signal", async () => (await seen()) === "hup", { within: 20_000 });
  });

  it("runs a program, whose exit code and words count", async () => {
    const name = await startContainer();
    const exec = (...words: string[]) => reload({ name, action: { exec: words } });
    expect(await exec("touch", "/tmp/reloaded")).toEqual({ accepted: "reload" });
    await docker.docker(["exec", name, "ls", "/tmp/reloaded"]);
    await expect(exec("sh", "-c", "echo one; echo two >&2; exit 3")).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "open",
      message: expect.stringMatching(/container .*exited with code 3:\n(one\ntwo|two\none)$/),
    });
    await expect(exec("no-such-program")).rejects.toMatchObject({ left: "none" });
  });

  it("has a deadline", async () => {
    const name = await startContainer();
    await expect(reload({ name, action: { exec: ["sleep", "20"] } }, 500)).rejects.toMatchObject({
      left: "open",
      message: expect.stringContaining("not done within 0.5 s"),
    });
  });

  it("says what is wrong with a container or a Docker that is not there", async () => {
    const action = { signal: "SIGHUP" } as const;
    const missing = reload({ name: "no-such-container", action });
    await expect(missing).rejects.toMatchObject({ code: "RELOAD_FAILED", left: "none" });
    await expect(reload({ name: "no-such-container", action })).rejects.toThrow(
      /Docker answered 404: .*no-such-container; start it, or correct name/,
    );
    const nowhere = reload({ name: "x", action, docker: "unix:///no/docker.sock" });
    await expect(nowhere).rejects.toThrow("unix:///no/docker.sock: connect ENOENT");
    await expect(reload({ name: "x", action, docker: "tcp://127.0.0.1:1" })).rejects.toThrow("ECONNREFUSED");
  });

  it("takes DOCKER_HOST where the configuration names no Docker", async () => {
    const name = await startContainer();
    const { docker: _, ...given } = { name, action: { exec: ["true"] }, docker: "" };
    const host = { DOCKER_HOST: docker.dockerHost };
    const context = {
      destination: "/etc/proxy.cfg",
      changes: [],
      swappedAt: undefined,
      timeout: 20_000,
      env: host,
      interval: async () => {},
      clearance: async () => undefined,
    };
    const reloader = reloaderOf({ kind: "container", ...given });
    expect(await reloader(context, new AbortController().signal)).toEqual({ accepted: "reload" });
  });
});
