// Three etcds on loopback that elect a leader among themselves.
import { join } from "node:path";
import { type Electing, electing } from "./electing.ts";
import type { Etcd } from "./etcd.ts";
import { type EtcdRelease, etcdProgram } from "./etcd-package.ts";
import { get } from "./http.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer } from "./server.ts";

/** A cluster of three members. */
export type EtcdCluster = Electing<Etcd>;

/** Starts three members and waits until they have elected one of them. */
export async function startEtcdCluster(release: EtcdRelease = "installed"): Promise<EtcdCluster> {
  const program = await etcdProgram(release);
  const places = await Promise.all(
    ["s1", "s2", "s3"].map(async (name) => {
      const [port, peerPort] = [await freePort(), await freePort()];
      return { name, port, url: `http://127.0.0.1:${port}`, peers: `http://127.0.0.1:${peerPort}` };
    }),
  );
  const initial = places.map(({ name, peers }) => `${name}=${peers}`).join(",");
  const members = await Promise.all(
    places.map(async ({ name, port, url, peers }): Promise<Etcd> => {
      const dir = tempDir(`etcd-${name}`);
      const dataDir = join(dir, "data");
      const server = await startServer({
        name: `etcd-${name}`,
        command: program,
        args: [
          ["--name", name, "--data-dir", dataDir],
          ["--listen-client-urls", url, "--advertise-client-urls", url],
          ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
          ["--initial-cluster", initial],
          ["--heartbeat-interval", "50", "--election-timeout", "500"],
        ].flat(),
        dir,
        dataDir,
        logFile: join(dir, "etcd.log"),
        env: { ETCD_UNSUPPORTED_ARCH: process.arch },
        ready: async () => (await get(`${url}/health`)).includes('"true"'),
      });
      return { ...server, url, host: "127.0.0.1", port };
    }),
  );
  const leads = async ({ url }: Etcd) =>
    /^etcd_server_is_leader 1$/m.test(await get(`${url}/metrics`).catch(() => ""));
  return electing(members, leads);
}
