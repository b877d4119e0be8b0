import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { containerOf, ownContainer } from "../../src/commands/own-container.ts";
import { startDockerHost } from "../servers/docker.ts";
import { importWebImage, runWeb } from "../servers/image.ts";

it("knows a container of Docker by its mounts", async () => {
  const host = await startDockerHost();
  try {
    await importWebImage(host);
    const { id, remove } = await runWeb(host, { name: "own" });
    const pid = await host.docker(["inspect", "--format", "{{.State.Pid}}", "own"]);
    expect(containerOf(readFileSync(`/proc/${pid}/mountinfo`, "utf8"))).toBe(id);
    await remove();
  } finally {
    await host.stop();
  }
});

it("knows one of Podman, and none where there is none", () => {
  const id = "0123456789abcdef".repeat(4);
  const other = "fedcba9876543210".repeat(4);
  // As a host has it on which containers run, and as Podman makes it in one.
  const ofHost = `700 28 0:60 / /var/lib/docker/containers/${other}/mounts/shm rw - tmpfs shm rw\n`;
  const inside = `950 900 0:25 /containers/storage/overlay-containers/${id}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n`;
  expect(containerOf(ofHost)).toBeUndefined();
  expect(containerOf(`${ofHost}${inside}`)).toBe(id);
  expect(containerOf("")).toBeUndefined();
  expect(ownContainer()).toBe(containerOf(readFileSync("/proc/self/mountinfo", "utf8")));
});
