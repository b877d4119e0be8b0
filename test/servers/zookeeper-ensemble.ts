// Three ZooKeepers on loopback that elect a leader among themselves.
import { freePort } from "./ports.ts";
import { fourLetterWord, startZooKeeper, type ZooKeeper } from "./zookeeper.ts";

/** An ensemble of three servers. */
export interface ZooKeeperEnsemble {
  readonly members: readonly ZooKeeper[];
  /** The members as the authority of a URL. */
  readonly hosts: string;
  /** The member that leads now. */
  leader(): Promise<ZooKeeper>;
  stop(): Promise<void>;
}

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
  return {
    members,
    hosts: members.map(({ address }) => address).join(","),
    async leader() {
      for (;;) {
        for (const member of members) if (await leads(member)) return member;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async stop() {
      await Promise.all(members.map((member) => member.kill()));
    },
  };
}
