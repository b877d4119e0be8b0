import Docker from "dockerode";
import { openBackend } from "../../src/backends/index.ts";
import type { State } from "../../src/instance.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** Changes one container at a time, and takes the time until a reader of the backend sees it. */
export interface Convergence {
  /** Starts or kills one container; ms from Docker's event to the reader. Undefined when that took too long. */
  probe(random: Random): Promise<number | undefined>;
  stop(): Promise<void>;
}

/** ms after which a probe is given up: ten times the second that is promised. */
const patience = 10_000;

/** Begins to read the backend, and Docker's events. */
export async function startConvergence({ host, store, fleet }: World): Promise<Convergence> {
  const client = new Docker({ socketPath: host.socket });
  const backend = await openBackend(store.url, { env: {} });
  const observation = backend.observe({ services: "all" });
  const states = (name: string): readonly State[] => {
    const now = observation.current();
    const instances = now.known ? [...now.value.services.values()].flat() : [];
    return instances.flatMap(({ container, state }) => (container?.name === name ? state : []));
  };
  /** Unix ms of the latest event; the stream of the daemon may have ended since the last probe. */
  const eventTime = async (id: string, action: "start" | "die"): Promise<number> => {
    const [since, until] = [-60, 0.001].map((seconds) => (Date.now() / 1000 + seconds).toFixed(3));
    const filters = { container: [id], event: [action] };
    const stream = await client.getEvents({ since, until, filters } as object);
    stream.setEncoding("utf8");
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    const last = JSON.parse(text.trim().split("\n").at(-1) ?? "{}") as { timeNano?: number };
    return Number(last.timeNano) / 1e6;
  };
  const probe = async (random: Random, tries = 5): Promise<number | undefined> => {
    const name = random.pick([...fleet.names] as [string, ...string[]]);
    const container = client.getContainer(name);
    const { Id, State } = await container.inspect();
    const wanted = !State.Running;
    let cancel = () => {};
    const seen = new Promise<number | undefined>((resolve) => {
      const look = () => {
        const now = states(name);
        if (wanted ? now.includes("ready") : now.length === 0) resolve(Date.now());
      };
      const unsubscribe = observation.subscribe(look);
      const timer = setTimeout(() => resolve(undefined), patience);
      cancel = () => {
        unsubscribe();
        clearTimeout(timer);
      };
    });
    try {
      const refused = await (wanted ? container.start() : container.kill()).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      if (refused) {
        // Docker that was killed may refuse a container which containerd still holds for running.
        if (tries === 1) throw refused.error;
        return probe(random, tries - 1);
      }
      const at = await seen;
      return at === undefined ? undefined : at - (await eventTime(Id, wanted ? "start" : "die"));
    } finally {
      cancel();
    }
  };
  return {
    probe: (random) => probe(random),
    async stop() {
      await backend.close();
    },
  };
}
