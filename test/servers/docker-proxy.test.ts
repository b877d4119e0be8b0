import { request } from "node:http";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { disturbEvents, type Fates } from "./disturbed-events.ts";
import { readOnly, startDockerProxy } from "./docker-proxy.ts";
import { tempDir } from "./run.ts";

const ask = (socket: string, method: string, path: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket, method, path, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (text: string) => {
        body += text;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.on("error", reject);
    asked.end();
  });

it("lets reading through, refuses the rest and writes down both", async () => {
  const listen = join(tempDir("docker-proxy"), "docker.sock");
  const proxy = await startDockerProxy({ upstream: inject("docker").socket, listen, allow: readOnly });
  expect((await ask(listen, "GET", "/v1.41/_ping")).body).toBe("OK");
  expect((await ask(listen, "GET", "/containers/json?all=1")).status).toBe(200);
  expect((await ask(listen, "GET", "/v1.41/containers/nothing/json")).status).toBe(404);
  const forbidden = [
    ["POST", "/v1.41/containers/create"],
    ["GET", "/containers/x/logs"],
    ["GET", "/images/json"],
    ["DELETE", "/networks/x"],
  ] as const;
  for (const [method, path] of forbidden) expect((await ask(listen, method, path)).status).toBe(403);
  expect(proxy.calls().filter(({ allowed }) => !allowed)).toHaveLength(forbidden.length);
  expect(proxy.calls()[0]).toEqual({ method: "GET", path: "/_ping", allowed: true });
  expect(proxy.inspectsAtOnce()).toBe(1);
  await proxy.stop();
});

it.each([
  ["dropped", { dropped: 1 }, []],
  ["doubled", { doubled: 1 }, ["one", "one", "two", "two"]],
  ["delayed", { delayed: 1 }, ["one", "two"]],
  ["passed", {}, ["one", "two"]],
] as const)("events that are %s, from lines that come in pieces", async (fate, faults, expected) => {
  const fates: Fates = { dropped: 0, doubled: 0, delayed: 0, passed: 0 };
  const none = { dropped: 0, doubled: 0, delayed: 0, longest: 5 };
  let seen = "";
  const disturb = disturbEvents({ ...none, ...faults }, Math.random, fates);
  const { take, end } = disturb((text) => {
    seen += text;
  });
  for (const piece of ["on", "e\ntw", "o\n"]) take(piece);
  await expect.poll(() => seen.split("\n").filter(Boolean).sort()).toEqual(expected);
  expect(fates[fate]).toBe(2);
  end();
});
