import type { Instance, Role, State } from "../instance.ts";
import { type Endpoint, endpointsOf, isLoopback, unusable } from "./address.ts";
import type { Container, ContainerPort } from "./container.ts";
import { isTrue, type Labels, readLabels, splitList } from "./labels.ts";
import type { Circumstances, Outcome, Remark } from "./outcome.ts";

/** Keys with a meaning of their own; every other one becomes meta. */
const reserved =
  /^(name|id|tags|ignore|ip|port|network|internal|ports|weight|role|drain|deregister|require_healthy|check_.+)$/;

/** Portolan's own rules, which the user's documentation lists: one container's instances. */
export function nativeOutcome(container: Container, circumstances: Circumstances): Outcome {
  const remarks: Remark[] = [];
  const registered = instancesOf(container, { ...circumstances, remarks });
  return { registered: registered.map((instance) => ({ instance, origins: {} })), remarks };
}

interface Context extends Circumstances {
  /** Collects what is worth telling. */
  readonly remarks: Remark[];
}

/** A port that will be registered, with everything that is known about it. */
interface Candidate {
  readonly port: ContainerPort;
  readonly labels: Labels;
  readonly endpoints: readonly Endpoint[];
}

function instancesOf(container: Container, context: Context): Instance[] {
  const candidates = candidatesOf(container, context);
  const several = candidates.length > 1;
  return candidates.flatMap(({ port, labels, endpoints }) => {
    const remark = (reason: string) =>
      context.remarks.push({ kind: "mistake", container: container.name, port: portText(port), reason });
    const weight = weightOf(labels, remark);
    const role = roleOf(labels, remark);
    const tags = [...splitList(labels.get("tags")?.value ?? ""), ...context.settings.tags];
    const shared = {
      protocol: port.protocol,
      tags: [...new Set(role === undefined ? tags : [...tags, role])],
      meta: metaOf(labels),
      weight,
      state: stateOf(container),
      ...(role !== undefined && { role }),
      node: context.node,
      container: { id: container.id, name: container.name, image: container.image },
      owner: context.owner,
    };
    const names = namesOf(container, port, labels, several);
    const id = idOf(container, port, labels, several, context.node);
    return names.flatMap((service, nameAt) =>
      endpoints.map((endpoint, endpointAt) => ({
        id: id + (nameAt > 0 ? `:${service}` : "") + bindingSuffix(endpoints, endpointAt),
        service,
        ...endpoint,
        ...shared,
      })),
    );
  });
}

function candidatesOf(container: Container, context: Context): Candidate[] {
  const { settings } = context;
  return portsOf(container, context).flatMap((port): Candidate[] => {
    const labels = readLabels(container, port, settings.labelPrefix);
    const skip = (reason: string, kind: Remark["kind"] = "skipped"): Candidate[] => {
      context.remarks.push({ kind, container: container.name, port: portText(port), reason });
      return [];
    };
    const ignored = labels.get("ignore");
    if (isTrue(ignored)) return skip(`ignored by ${ignored?.from}`);
    if (settings.explicit && !labels.get("name")?.value) {
      return skip(`--explicit, and the container gives no ${settings.labelPrefix}NAME`);
    }
    const internal = labels.get("internal");
    const endpoints = endpointsOf(container, port, {
      hostAddress: context.hostAddress,
      internal: internal === undefined ? settings.internal : isTrue(internal),
      network: labels.get("network")?.value || settings.network,
    });
    const address = labels.get("ip");
    const number = labels.get("port");
    if ("none" in endpoints && !(address?.value && number?.value)) return skip(endpoints.none);

    const found = "none" in endpoints ? [{ address: "", port: 0 }] : endpoints;
    const usable: Endpoint[] = [];
    for (const endpoint of found) {
      const given = { address: address?.value || endpoint.address, port: endpoint.port };
      if (number?.value) {
        given.port = Number(number.value);
        if (!/^\d+$/.test(number.value) || given.port < 1 || given.port > 65535) {
          return skip(`${number.from}=${number.value}: not a port; use a number from 1 to 65535`, "mistake");
        }
      }
      const hostIsLoopback = typeof context.hostAddress === "string" && isLoopback(context.hostAddress);
      const reason = unusable(given.address, hostIsLoopback || Boolean(address?.value));
      if (reason !== undefined) {
        const from = address?.value ? `${address.from}: ` : "";
        context.remarks.push({
          kind: address?.value ? "mistake" : "skipped",
          container: container.name,
          port: portText(port),
          reason: `${from}${reason}`,
        });
      } else if (!usable.some((other) => other.address === given.address && other.port === given.port)) {
        usable.push(given);
      }
    }
    return usable.length === 0 ? [] : [{ port, labels, endpoints: usable }];
  });
}

/** The container's ports; under host networking those that PORTS lists, if it is given. */
function portsOf(container: Container, context: Context): readonly ContainerPort[] {
  const listed = readLabels(container, undefined, context.settings.labelPrefix).get("ports");
  if (!listed?.value || container.networkMode !== "host") return container.ports;
  return splitList(listed.value).flatMap((item): ContainerPort[] => {
    const match = /^(\d+)(?:\/(tcp|udp|sctp))?$/.exec(item);
    const port = Number(match?.[1]);
    if (!match || port < 1 || port > 65535) {
      const reason = `${listed.from}=${listed.value}: "${item}" is not a port; write e.g. 8080,9000/udp`;
      context.remarks.push({ kind: "mistake", container: container.name, reason });
      return [];
    }
    return [{ port, protocol: (match[2] ?? "tcp") as ContainerPort["protocol"], bindings: [] }];
  });
}

function portText(port: ContainerPort): string {
  return port.protocol === "tcp" ? String(port.port) : `${port.port}/${port.protocol}`;
}

/** Draining beats paused beats health. */
function stateOf(container: Container): State {
  if (container.stopping) return "draining";
  if (container.paused) return "paused";
  if (container.health === "starting" || container.health === "unhealthy") return container.health;
  return "ready";
}

/** The given names, or the default one; with several ports and no port-specific name, `-<port>` is appended. */
function namesOf(
  container: Container,
  port: ContainerPort,
  labels: Labels,
  several: boolean,
): readonly string[] {
  const specific = splitList(labels.specific("name")?.value ?? "");
  if (specific.length > 0) return [...new Set(specific)];
  const general = splitList(labels.get("name")?.value ?? "");
  const names = general.length > 0 ? general : [defaultName(container)];
  return [...new Set(several ? names.map((name) => `${name}-${port.port}`) : names)];
}

/** The compose service, else the image's last path segment without tag or digest, else the container's name. */
function defaultName(container: Container): string {
  const compose = container.labels["com.docker.compose.service"];
  if (compose) return compose;
  // An image that is given by its bare id has no name.
  if (/^(sha256:)?[0-9a-f]{12,64}$/.test(container.image)) return container.name;
  const last = container.image.replace(/@.*$/, "").split("/").at(-1) ?? "";
  return last.replace(/:.*$/, "") || container.name;
}

function idOf(
  container: Container,
  port: ContainerPort,
  labels: Labels,
  several: boolean,
  node: string,
): string {
  const protocol = port.protocol === "tcp" ? "" : `:${port.protocol}`;
  const specific = labels.specific("id")?.value;
  if (specific) return specific;
  const general = labels.get("id")?.value;
  if (general) return several ? `${general}-${port.port}${protocol}` : general;
  return `${node}:${container.name}:${port.port}${protocol}`;
}

/** Nothing for the first binding, `@<host port>` for a further one, with its address if that is not unique. */
function bindingSuffix(endpoints: readonly Endpoint[], at: number): string {
  const endpoint = endpoints[at];
  if (at === 0 || !endpoint) return "";
  const unique = endpoints.slice(1).filter(({ port }) => port === endpoint.port).length === 1;
  return unique ? `@${endpoint.port}` : `@${endpoint.address}:${endpoint.port}`;
}

function metaOf(labels: Labels): Record<string, string> {
  const meta: Record<string, string> = {};
  for (const key of labels.keys()) {
    const given = labels.get(key);
    if (!reserved.test(key) && given) meta[key] = given.value;
  }
  return meta;
}

function weightOf(labels: Labels, remark: (reason: string) => void): number {
  const given = labels.get("weight");
  if (!given || given.value === "") return 1;
  const weight = Number(given.value);
  if (/^\d+$/.test(given.value) && weight <= 256) return weight;
  remark(`${given.from}=${given.value}: not a weight; use a whole number from 0 to 256 (1 is used)`);
  return 1;
}

function roleOf(labels: Labels, remark: (reason: string) => void): Role | undefined {
  const given = labels.get("role");
  if (!given || given.value === "") return undefined;
  if (given.value === "master" || given.value === "slave") return given.value;
  remark(`${given.from}=${given.value}: not a role; use master or slave (no role is used)`);
  return undefined;
}
