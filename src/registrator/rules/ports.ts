import type { Protocol } from "../../instance.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import { labelledPorts, readLabels, splitList, told } from "./labels.ts";
import { type Notes, portText } from "./notes.ts";
import type { Circumstances } from "./outcome.ts";
import { shown } from "./shown.ts";

/** What the ports of a container depend on. */
interface PortsContext extends Pick<Circumstances, "settings" | "networked"> {
  readonly container: Container;
  readonly notes: Notes;
}

/**
 * The container's ports: those that it exposes or publishes, or, where Docker cannot know them because the
 * container uses the host's or another container's network, those that PORTS lists. With another container's
 * network they have that one's bindings.
 */
export function portsOf(context: PortsContext): readonly ContainerPort[] {
  const { container, networked } = context;
  const own = listedPorts(context) ?? container.ports;
  if (networked === undefined || networked === container) return own;
  return own.map(
    (port) =>
      networked.ports.find((other) => other.port === port.port && other.protocol === port.protocol) ?? port,
  );
}

/** Notes labels and variables for ports that the container does not have. */
export function notePortless(
  container: Container,
  ports: readonly ContainerPort[],
  prefix: string,
  notes: Notes,
): void {
  const numbers = new Set(ports.map(({ port }) => port));
  const has = ports.map(portText).join(", ") || "none";
  for (const { from, number } of labelledPorts(container, prefix)) {
    if (numbers.has(number)) continue;
    notes.mistake(`${from} has no effect: the container has no port ${number}; it has: ${has}`);
  }
}

/** What PORTS lists; undefined where it does not count or nothing in it can be used. */
function listedPorts({ container, settings, notes }: PortsContext): readonly ContainerPort[] | undefined {
  const listed = readLabels(container, undefined, settings.labelPrefix).get("ports");
  if (!listed || !/^(host$|container:)/.test(container.networkMode)) return undefined;
  const ports = new Map<string, ContainerPort>();
  for (const item of splitList(listed.value)) {
    const [, number = "", protocol = "tcp"] = /^(\d+)(?:\/(tcp|udp|sctp))?$/.exec(item) ?? [];
    const port = Number(number);
    if (number === "" || port < 1 || port > 65535) {
      notes.mistake(
        `${told(listed)}: "${shown(item)}" is not a port; write e.g. 8080,9000/udp (it is left out)`,
      );
      continue;
    }
    ports.set(`${port}/${protocol}`, { port, protocol: protocol as Protocol, bindings: [] });
  }
  return ports.size === 0 ? undefined : [...ports.values()];
}
