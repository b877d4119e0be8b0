// Three servers: a leader that is lost. And the agent of a host, which is no server, that lost its data folder.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { stringify } from "yaml";
import { instancesOf, type Observation } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { looksAt, signal } from "../backends/backend-stage.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";
import { startProgram } from "../e2e/program.ts";
import { type ConsulCluster, startConsulCluster } from "../servers/consul-cluster.ts";
import { dockerCli } from "../servers/docker.ts";
import { get } from "../servers/http.ts";
import { runWeb } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { everything } from "./fault.ts";

const within = { within: 60_000, every: 100 };

describe("consul: a cluster of three", () => {
  let cluster: ConsulCluster;
  beforeAll(async () => {
    cluster = await startConsulCluster();
  });
  afterAll(() => cluster?.stop());

  /** How many instances of a service an observation shows at each change. */
  const record = (observation: Observation, service: string) => {
    const counts: (number | undefined)[] = [];
    observation.subscribe(() => {
      const now = observation.current();
      counts.push(now.known ? instancesOf(now.value, service)?.length : undefined);
    });
    return counts;
  };

  it("goes on when the leader is killed, in services and in keys, and shows nothing less (R2, T3)", async () => {
    const leader = await cluster.leader();
    const follower = cluster.members.find((member) => member !== leader);
    const begin = async (scheme: string, path: string) => {
      const backend = await openBackend(`${scheme}://127.0.0.1:${follower?.port}${path}`, { env: {} });
      const owner = someOwner();
      const lease = backend.lease(owner, 30);
      const service = `${scheme}-kept`;
      const instance = someInstance(owner, { service });
      await waitFor("a lease", () => lease.renew(signal), within);
      await lease.register(instance, signal);
      const observation = backend.observe({ services: new Set([service]) });
      await looksAt(() => observation).seen(service);
      return { backend, lease, service, instance, observation, counts: record(observation, service) };
    };
    const both = await Promise.all([begin("consul", ""), begin("consulkv", "/cluster")]);
    await leader.kill();
    await Promise.all(
      both.map(async ({ backend, lease, service, instance, observation, counts }) => {
        const { seen, problem } = looksAt(() => observation);
        expect(await waitFor("a renewal", () => lease.renew(signal), within)).toMatchObject({ fresh: false });
        const next = { ...instance, id: `${instance.id}:next`, port: 1 };
        await waitFor("a write", () => lease.register(next, signal), within);
        await seen(service, 2);
        await problem(undefined);
        expect(counts.filter((count) => count !== 1 && count !== 2)).toEqual([]);
        await observation.close();
        await lease.release(signal);
        await backend.close();
      }),
    );
    await leader.start();
  });

  const name =
    "has an agent that lost its data filled again within 5 s, and nothing is rendered without it (R5, T3)";
  it.skipIf(!everything)(everything ? name : `${name} (npm run soak:faults)`, async () => {
    const agent = await cluster.join("h1");
    const { socket, address } = inject("docker");
    const service = `emptied-${process.pid}`;
    const web = await runWeb(dockerCli({ socket, address }), {
      publish: ["80"],
      labels: { SERVICE_NAME: service, "portolan.emptied": service },
    });
    const dir = tempDir("emptied");
    const [config, source, destination] = ["portolan.yaml", "list.hbs", "list"].map((name) =>
      join(dir, name),
    );
    writeFileSync(source ?? "", `{{#each (service "${service}")}}{{address}}:{{port}}\n{{/each}}`);
    writeFileSync(config ?? "", stringify({ templater: { templates: [{ source, destination }] } }));
    const url = `consul://127.0.0.1:${agent.port}`;
    const registrator = await startProgram("registrator", [
      ...["--docker", `unix://${socket}`, "--ip", address, "--node", "h1"],
      ...["--select", `portolan.emptied=${service}`, "--ttl", "15s", url],
    ]);
    const templater = await startProgram("templater", ["-c", config ?? "", url]);
    const rendered = () => readFileSync(destination ?? "", "utf8");
    const full = await waitFor("the file", () => rendered().includes(":") && rendered(), within);
    const seen = new Set<string>();
    const looking = setInterval(() => seen.add(rendered()), 5);

    const has = async () => (await get(`${agent.url}/v1/agent/services`)).includes(service);
    await agent.wipeAndRestart();
    const back = performance.now();
    await waitFor("the agent to be filled again", has, { within: 50_000 });
    const took = performance.now() - back;
    await waitFor("the registrator", async () => (await registrator.notReady()) === "", within);
    await waitFor("the templater", async () => (await templater.notReady()) === "", within);
    clearInterval(looking);
    process.stderr.write(`consul: an empty agent was filled after ${Math.round(took)} ms\n`);
    expect(took).toBeLessThan(5_000);
    expect([...seen]).toEqual([full]);
    await Promise.all([registrator.stop(), templater.stop(), web.remove()]);
  });
});
