import Docker from "dockerode";
import type { Close, FloorOptions } from "./settings.ts";

/** A container that has just started. */
export interface Started {
  readonly name: string;
  readonly service: string;
  readonly port: number;
}

/** What the bare programs do when containers come and go. */
interface Reactions {
  started(container: Started): void;
  ended(name: string): void;
}

interface Event {
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

/** Subscribes, inspects what runs and what starts, and tells. */
export async function watchContainers(options: FloorOptions, reactions: Reactions): Promise<Close> {
  const docker = new Docker({ socketPath: options.docker });
  const inspect = async (id: string) => {
    const { Name, Config, NetworkSettings } = await docker.getContainer(id).inspect();
    const [binding] = Object.values(NetworkSettings.Ports)[0] ?? [];
    const name = Name.slice(1);
    reactions.started({ name, service: Config.Labels.SERVICE_NAME ?? name, port: Number(binding?.HostPort) });
  };
  const label = [options.label];
  const stream = await docker.getEvents({
    filters: { type: ["container"], event: ["start", "die"], label },
  });
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { Action, Actor } = JSON.parse(line) as Event;
      if (Action === "start") void inspect(Actor.ID);
      else reactions.ended(Actor.Attributes.name ?? "");
    }
  });
  const running = await docker.listContainers({ filters: { label } });
  await Promise.all(running.map(({ Id }) => inspect(Id)));
  return async () => {
    stream.removeAllListeners();
  };
}
