import type { Container, ContainerPort } from "../docker/container.ts";
import { type Labels, splitList } from "./labels.ts";
import { whyNoName } from "./limits.ts";
import type { Notes } from "./notes.ts";

/** The names of a port's services. */
export interface Names {
  readonly names: readonly string[];
  /** The rule that gave them. */
  readonly from: string;
  /** They hold for every port, so that several ports need to be told apart. */
  readonly shared: boolean;
}

/** The names that the container gives: the most specific that can be used; undefined when there is none. */
export function givenNames(labels: Labels, port: ContainerPort, notes: Notes): Names | undefined {
  for (const label of labels.all("name")) {
    const names = splitList(label.value).filter((name) => {
      const why = whyNoName(name);
      if (why !== undefined)
        notes.refused(
          label,
          `${why}, so it is no service name; give another one (the default is used, if no other is given)`,
          port,
        );
      return why === undefined;
    });
    if (names.length > 0) return { names: unique(names), from: label.from, shared: label.of === "container" };
  }
  return undefined;
}

/** The compose service, else the image's last path segment without tag or digest, else the container's name. */
export function defaultNames(container: Container): Names {
  const compose = own(container.labels, "com.docker.compose.service");
  if (compose && whyNoName(compose) === undefined) {
    return { names: [compose], from: "label com.docker.compose.service", shared: true };
  }
  const image = imageName(container.image);
  if (image !== undefined && whyNoName(image) === undefined) {
    return { names: [image], from: "the image's name", shared: true };
  }
  return { names: [container.name], from: "the container's name", shared: true };
}

/** Undefined for an image that is given by its bare id, which has no name. */
function imageName(image: string): string | undefined {
  if (/^(sha256:)?[0-9a-f]{12,64}$/.test(image)) return undefined;
  const last = image.replace(/@.*$/s, "").split("/").at(-1) ?? "";
  return last.replace(/:.*$/s, "") || undefined;
}

/** `-<port>` after each name where the container registers several ports under it. */
export function withPort(names: Names, port: ContainerPort, several: boolean): Names {
  if (!several || !names.shared) return names;
  const from = `${names.from}, and its port, for the container registers several`;
  return { ...names, names: unique(names.names.map((name) => `${name}-${port.port}`)), from };
}

/** An id and the rule that gave it. */
export interface Id {
  readonly id: string;
  readonly from: string;
}

/** What a port's id depends on besides its labels. */
export interface IdContext {
  readonly container: Container;
  readonly port: ContainerPort;
  readonly node: string;
  /** The ports that are registered, this one among them. */
  readonly ports: readonly ContainerPort[];
  readonly notes: Notes;
}

/** The id that the container gives, made unique among its ports, else the generated one. */
export function idOf(labels: Labels, { container, port, node, ports, notes }: IdContext): Id {
  const protocol = port.protocol === "tcp" ? "" : `:${port.protocol}`;
  for (const label of labels.all("id")) {
    const given = label.value.trim();
    if (given === "") continue;
    const why = whyNoName(given);
    if (why !== undefined) {
      notes.refused(label, `${why}, so it is no id; give another one (the generated one is used)`, port);
      continue;
    }
    if (label.of === "protocol") return { id: given, from: label.from };
    if (label.of === "port") {
      const shared = ports.some((other) => other !== port && other.port === port.port);
      return shared && protocol !== ""
        ? { id: given + protocol, from: `${label.from}, and its protocol, for the port has several` }
        : { id: given, from: label.from };
    }
    if (ports.length === 1) return { id: given, from: label.from };
    const from = `${label.from}, and its port, for the container registers several`;
    return { id: `${given}-${port.port}${protocol}`, from };
  }
  return {
    id: `${node}:${container.name}:${port.port}${protocol}`,
    from: "the node, the container's name and its port",
  };
}

/** A field of an object that users fill, never one of its prototype. */
export function own(record: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
