import { compare } from "../../instance.ts";
import type { Listed } from "./client.ts";
import type { Container } from "./container.ts";

/** True when the list, which costs one call for all, shows nothing that the known container does not. */
export function agrees(container: Container, entry: Listed): boolean {
  const health = /\((?:health: )?(starting|healthy|unhealthy)\)/.exec(entry.Status)?.[1] ?? "none";
  const networks = Object.entries(entry.NetworkSettings?.Networks ?? {});
  return (
    entry.Names.includes(`/${container.name}`) &&
    (entry.State === "paused") === container.paused &&
    entry.State !== "restarting" &&
    health === container.health &&
    samePorts(container, entry) &&
    networks.length === container.networks.length &&
    container.networks.every((network) =>
      networks.some(
        ([name, end]) =>
          name === network.name &&
          (end.IPAddress ?? "") === network.ipv4 &&
          (end.GlobalIPv6Address ?? "") === network.ipv6,
      ),
    )
  );
}

/** True for a container that has a process or will get a new one by itself. */
export function isUp({ State: state }: Listed): boolean {
  return !["created", "exited", "dead", "removing"].includes(state);
}

/** The exit code that a list gives in `Exited (137) 5 minutes ago`; undefined while there is none. */
export function listedExitCode({ Status: status }: Listed): number | undefined {
  const code = /^Exited \((\d+)\)/.exec(status)?.[1];
  return code === undefined ? undefined : Number(code);
}

/** A restart gives new host ports and may leave all else as it was. */
function samePorts(container: Container, entry: Listed): boolean {
  const before = container.ports.flatMap(({ port, protocol, bindings }) =>
    bindings.map((binding) => `${binding.address} ${binding.port} ${port}/${protocol}`),
  );
  const now = (entry.Ports ?? []).flatMap(({ IP, PublicPort, PrivatePort, Type }) =>
    PublicPort ? `${IP} ${PublicPort} ${PrivatePort}/${Type}` : [],
  );
  return JSON.stringify(before.sort()) === JSON.stringify(now.sort());
}

/** Oldest first. The very map of before when it holds the same containers. */
export function inOrder(
  known: ReadonlyMap<string, Container>,
  previous: ReadonlyMap<string, Container> | undefined,
): ReadonlyMap<string, Container> {
  const entries = [...known];
  const same = previous?.size === entries.length && entries.every(([id, c]) => previous.get(id) === c);
  if (previous && same) return previous;
  entries.sort(([idA, a], [idB, b]) => compare(a.created, b.created) || compare(idA, idB));
  return new Map(entries);
}
