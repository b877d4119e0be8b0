import { describe, expect, it, type TestContext } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { startRegistry, storeNames } from "../e2e/registries.ts";
import { startConsul } from "../servers/consul.ts";
import { waitFor } from "../servers/wait.ts";
import { eventually, signal, someInstance, someOwner } from "./contract/stage.ts";

/** Seconds: the shortest that each store grants. */
const ttls = { consul: 2, etcd: 2, zookeeper: 4, file: 1, consulkv: 10 } as const;

async function storeUrl(name: keyof typeof ttls, { onTestFinished }: TestContext): Promise<string> {
  if (name === "consulkv") {
    const consul = await startConsul();
    onTestFinished(() => consul.stop());
    return `consulkv://${consul.host}:${consul.port}/services`;
  }
  const registry = await startRegistry(name);
  onTestFinished(() => registry.stop());
  return registry.url;
}

// They mostly wait: all stores at once.
describe.concurrent("living", () => {
  it.for([...storeNames, "consulkv"] as const)(
    "%s: names the nodes that somebody claims, until the claim runs out",
    async (name, context) => {
      const { onTestFinished } = context;
      const url = await storeUrl(name, context);
      const open = async (): Promise<Backend> => {
        const backend = await openBackend(url, { env: {} });
        onTestFinished(() => backend.close());
        return backend;
      };
      const [writer, reader] = [await open(), await open()];
      const [mortal, silent] = [someOwner({ node: "a b/c" }), someOwner()];
      await writer.lease(mortal, ttls[name]).renew(signal);
      const kept = (await open()).lease(silent, 0);
      await kept.renew(signal);
      const mine = someInstance(silent);
      await kept.register(mine, signal);
      const observation = reader.observe({ services: new Set(["web"]) });
      await eventually(observation, (snapshot) => snapshot.services.get("web")?.length === 1);
      const asked = new Set([mortal.node, silent.node, "nobody"]);
      const living = async () => [...((await reader.living?.(asked, signal)) ?? [])].sort().join();
      await waitFor("both", async () => (await living()) === ["a b/c", silent.node].join(), {
        within: 10_000,
      });
      await writer.close();
      await waitFor("the dead one to go", async () => (await living()) === silent.node, { within: 50_000 });
    },
  );

  it("rejects when the store is away", async ({ onTestFinished }) => {
    const backend = await openBackend("etcd://127.0.0.1:1", { env: {} });
    onTestFinished(() => backend.close());
    await expect(backend.living?.(new Set(["a"]), signal)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
    });
  });
});
