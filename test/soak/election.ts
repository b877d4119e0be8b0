// `npm run soak:election`: who believes to be master while contenders are killed, stopped and cut off; see README.md.
import { parseArgs } from "node:util";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { cleanLeftovers } from "../servers/leftovers.ts";
import { tempDir } from "../servers/run.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import { type ElectionOptions, runElection } from "./election-run.ts";
import { type BackendName, backends } from "./options.ts";

type Store = Pick<ElectionOptions, "url" | "server" | "ttl"> & { stop(): Promise<void> };

const stores: Readonly<Record<BackendName, () => Promise<Store>>> = {
  async file() {
    const dir = tempDir("election");
    return { url: () => `file://${dir}`, ttl: 2, stop: async () => {} };
  },
  async consul() {
    const server = await startConsul();
    // Consul takes no session that lives for less than 10 s.
    return {
      server,
      ttl: 10,
      url: ({ host, port } = server) => `consul://${host}:${port}`,
      stop: server.stop,
    };
  },
  async etcd() {
    const server = await startEtcd();
    const url = ({ host, port }: { host: string; port: number } = server) =>
      `etcd://${host}:${port}/election`;
    return { server, ttl: 3, url, stop: server.stop };
  },
  async zookeeper() {
    const server = await startZooKeeper();
    const url = ({ host, port } = server) => `zookeeper://${host}:${port}/election`;
    return { server, ttl: 4, url, stop: server.stop };
  },
};

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "8" },
    only: { type: "string", default: backends.join() },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const only = backends.filter((name) => values.only.split(",").includes(name));
await cleanLeftovers();
for (const name of only) {
  const store = await stores[name]();
  const time = (Number(values.minutes) * 60_000) / only.length;
  const { faults, terms, done } = await runElection({ ...store, time, seed: Number(values.seed) });
  const troubles = Object.entries(done).map(([what, count]) => `${count} × ${what}`);
  process.stdout.write(`${name}: ${terms} terms, ${troubles.join(", ")}: ${faults.length} faults\n`);
  for (const fault of faults) process.stdout.write(`  ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
  await store.stop();
}
if (process.exitCode === 1) process.stdout.write(`seed ${values.seed}\n`);
process.exit();
