// Three ZooKeepers on loopback that elect a leader among themselves.
import { type Electing, electing } from "./electing.ts";
import { freePort } from "./ports.ts";
import { fourLetterWord, startZooKeeper, type ZooKeeper } from "./zookeeper.ts";

/** An ensemble of three servers. */
export type ZooKeeperEnsemble = Electing<ZooKeeper>;

/** Starts three servers and waits until they have elected one of them. */
export async function startZooKeeperEnsemble(): Promise<ZooKeeperEnsemble> {
  const numbers = [1, 2, 3];
  const places = await Promise.all(
    numbers.map(async (n) => `server.${n}=127.0.0.1:${await freePort()}:${await freePort()}`),
  );
  const config = ["initLimit=20", "syncLimit=10", ...places].join("\n");
  const members = await Promise.all(numbers.map((member) => startZooKeeper({ config, member })));
  const leads = async ({ port }: ZooKeeper) =>
    (await fourLetterWord(port, "srvr").catch(() => "")).includes("Mode: leader");
  return electing(members, leads);
}
