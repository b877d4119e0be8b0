import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { exec } from "./exec.ts";
import { cleanLeftovers } from "./leftovers.ts";
import { listProcesses } from "./proc.ts";
import { stateFolder } from "./run.ts";

/** A test run that starts servers, tells who it is, and is killed in the middle. */
const crash = `
  import { startDockerHost } from "./docker.ts";
  import { startEtcd } from "./etcd.ts";
  import { importWebImage, runWeb } from "./image.ts";
  const [, host] = await Promise.all([startEtcd(), startDockerHost({ liveRestore: true })]);
  await importWebImage(host);
  await runWeb(host, { publish: ["80"] });
  process.stderr.write(JSON.stringify([process.pid, host.netns]));
  process.kill(process.pid, "SIGKILL");
`;

test("what a killed run leaves is removed by the next one: processes, containers, namespaces, files, claims", async () => {
  const killed = exec(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", crash], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
  });
  const words = await killed.then(String, (error: Error) => error.message);
  const { pid = "", netns = "" } = /\[(?<pid>\d+),"(?<netns>[^"]+)"\]/.exec(words)?.groups ?? {};
  expect(pid, words).not.toBe("");
  const files = (kind: "tmp" | "processes"): readonly string[] =>
    readdirSync(stateFolder(kind)).filter((name) => name.startsWith(`${pid}-`));
  expect(existsSync(`/var/run/netns/${netns}`)).toBe(true);
  expect(files("tmp")).not.toEqual([]);

  await cleanLeftovers();
  expect(existsSync(`/var/run/netns/${netns}`)).toBe(false);
  expect(files("tmp")).toEqual([]);
  expect(listProcesses().filter(({ command }) => command.includes(`/${pid}-`))).toEqual([]);
});
