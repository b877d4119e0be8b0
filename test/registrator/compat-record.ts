// Writes golden/compat/<situation>/inspect.json anew, from a Docker of its own:
// `node --import tsx test/registrator/compat-record.ts`, as root.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDockerHost } from "../servers/docker.ts";
import { importWebImage } from "../servers/image.ts";
import { runSituations, situations } from "./compat-situations.ts";

/** What is recorded of Docker's answer: all that registration could read, and nothing of the machine. */
const recorded = ["Id", "Name", "Created", "State", "Image", "Config", "HostConfig", "NetworkSettings"];
const ofHost = ["NetworkMode", "PortBindings", "RestartPolicy"];

type Json = Record<string, unknown>;

/** Ids, addresses of cards, times and process numbers are what another run would give otherwise. */
function scrub(text: string, ids: ReadonlyMap<string, string>, at: number): string {
  let scrubbed = text;
  for (const [id, stable] of ids) {
    scrubbed = scrubbed.replaceAll(id, stable).replaceAll(id.slice(0, 12), stable.slice(0, 12));
  }
  return scrubbed
    .replace(/"(SandboxID|NetworkID|EndpointID)": "[0-9a-f]+"/g, `"$1": "${"0".repeat(64)}"`)
    .replace(/"SandboxKey": "[^"]+"/g, '"SandboxKey": "/var/run/docker/netns/000000000000"')
    .replace(/"MacAddress": "[^"]+"/g, '"MacAddress": "02:42:ac:11:00:02"')
    .replace(/"Pid": \d+/g, '"Pid": 1000')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) =>
      time.startsWith("0001") ? time : `2026-01-01T00:00:${String(at).padStart(2, "0")}.000000000Z`,
    );
}

async function main(): Promise<void> {
  const host = await startDockerHost();
  try {
    await importWebImage(host);
    await runSituations(host);
    const names = situations.map(({ name }) => name);
    const all = JSON.parse(await host.docker(["inspect", ...names])) as Json[];
    const ids = new Map(
      all.flatMap(({ Id, Name, Image }) =>
        [[Id, Name] as const, [Image, "image"] as const].map(([id, name]) => {
          const bare = String(id).replace("sha256:", "");
          return [bare, createHash("sha256").update(String(name)).digest("hex")] as const;
        }),
      ),
    );
    for (const [at, answer] of all.entries()) {
      const kept = Object.fromEntries(recorded.map((key) => [key, answer[key]]));
      kept.HostConfig = Object.fromEntries(ofHost.map((key) => [key, (answer.HostConfig as Json)[key]]));
      const folder = join(import.meta.dirname, "golden/compat", names[at] ?? "");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "inspect.json"), `${scrub(JSON.stringify(kept, undefined, 2), ids, at)}\n`);
    }
  } finally {
    await host.stop();
  }
}

await main();
