import type { Instance, Role } from "../../instance.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import { stateOf } from "../rules/attributes.ts";
import { isTrue, told } from "../rules/labels.ts";
import { whyNoName } from "../rules/limits.ts";
import { createNotes, type Notes } from "../rules/notes.ts";
import type { Circumstances, Outcome, Reasoned } from "../rules/outcome.ts";
import { phraseContext, phrasedName } from "../rules/phrases.ts";
import { notePortless } from "../rules/ports.ts";
import { shown } from "../rules/shown.ts";
import { compatPlace } from "./address.ts";
import { attributesOf } from "./attributes.ts";
import { type Metadata, readMetadata } from "./metadata.ts";
import { tagsOf } from "./tags.ts";

/**
 * The rules of gliderlabs/registrator, quirks included: one container's instances. What differs nevertheless
 * stands in docs/migrating-from-registrator.md: nothing is registered that nobody can reach, and the container's
 * life (state, role, health) is Portolan's.
 */
export function compatOutcome(container: Container, circumstances: Circumstances): Outcome {
  const { settings } = circumstances;
  const notes = createNotes(container);
  // Counted before anything is ignored, so that a port keeps its name when its neighbour is ignored.
  const counted = container.ports.filter(({ first }) => settings.internal || first !== null);
  if (container.ports.length === 0) notes.skipped("it has no port: expose or publish one");
  const registered = [...container.ports].sort(byPort).flatMap((port): Reasoned[] => {
    if (counted.includes(port)) {
      return reasonedOf(port, { ...circumstances, container, notes, inGroup: counted.length > 1 });
    }
    notes.skipped(
      "the port is not published; publish it with -p, or register the container's own with -internal",
      port,
    );
    return [];
  });
  notePortless(container, container.ports, settings.labelPrefix, notes);
  return { registered: withoutDoubles(registered, notes), remarks: notes.remarks };
}

/** Two ports with one id: the later one is refused, where registrator overwrites one by the other. */
function withoutDoubles(registered: readonly Reasoned[], notes: Notes): readonly Reasoned[] {
  const holders = new Map<string, Instance>();
  return registered.filter(({ instance, origins }) => {
    const { id } = instance;
    const holder = holders.get(id);
    if (holder === undefined) holders.set(id, instance);
    else {
      const taken = `id ${shown(id)} (${origins.id}) is taken by ${placeText(holder)}`;
      notes.mistake(`${taken}, so ${placeText(instance)} is not registered; give each its own id`);
    }
    return holder === undefined;
  });
}

function placeText({ address, port, protocol }: Instance): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}/${protocol}`;
}

/** TCP first among the protocols of one port: where ids collide, the first one counts. */
function byPort(a: ContainerPort, b: ContainerPort): number {
  const order = ["tcp", "udp", "sctp"];
  return a.port - b.port || order.indexOf(a.protocol) - order.indexOf(b.protocol);
}

interface Context extends Circumstances {
  readonly container: Container;
  readonly notes: Notes;
  /** Several of the container's ports count. */
  readonly inGroup: boolean;
}

/** The instance of a port, or none, with the reason noted. */
function reasonedOf(port: ContainerPort, context: Context): Reasoned[] {
  const { container, settings, node, owner, notes } = context;
  const metadata = readMetadata(container, port.port, settings.labelPrefix);
  const why = whyLeftOut(metadata, context);
  if (why !== undefined) {
    notes.skipped(why, port);
    return [];
  }
  const place = compatPlace(container, port, context);
  if ("none" in place) {
    notes.skipped(place.none, port);
    return [];
  }
  const phrase = phraseContext(container, port, node);
  const service = phrasedName(nameOf(port, metadata, context), settings.name, phrase, port, notes);
  const id = idOf(port, metadata, context);
  for (const [what, { value, from }] of [
    ["name", service],
    ["id", id],
  ] as const) {
    const unfit = whyNoName(value);
    if (unfit === undefined) continue;
    notes.mistake(`the ${what} ${shown(value)} (${from}) ${unfit}; give another one`, port);
    return [];
  }
  const tags = tagsOf(metadata, settings.tags, { ...phrase, service: service.value }, port, notes);
  const role = metadata.get("role");
  const state = stateOf(container);
  const { meta, checks, origins } = attributesOf(metadata, port, notes);
  const instance: Instance = {
    id: id.value,
    service: service.value,
    address: place.address,
    port: place.port,
    protocol: port.protocol,
    tags: tags.value,
    meta,
    weight: 1,
    state: state.value,
    ...(isRole(role?.value) && { role: role?.value }),
    node,
    container: { id: container.id, name: container.name, image: container.image },
    owner,
    ...(Object.keys(checks).length > 0 && { checks }),
  };
  return [
    {
      instance,
      origins: {
        service: service.from,
        id: id.from,
        address: place.addressFrom,
        port: place.portFrom,
        protocol: "the container's port",
        tags: tags.from,
        node: settings.node === undefined ? "Docker's host name" : "--node",
        weight: "registrator knows no weights",
        state: state.from,
        ...(role && instance.role !== undefined && { role: role.from }),
        ...origins,
      },
    },
  ];
}

function whyLeftOut(metadata: Metadata, { container, settings }: Context): string | undefined {
  const ignored = metadata.get("ignore");
  if (ignored) return `ignored by ${told(ignored)}; for registrator any value but an empty one ignores`;
  if (settings.explicit && !metadata.get("name")) {
    return `-explicit, and the container gives no ${settings.labelPrefix}NAME`;
  }
  const { health } = container;
  if (health !== "starting" && health !== "unhealthy") return undefined;
  const label = metadata.get("require_healthy");
  if (label ? !isTrue(label) : !settings.requireHealthy) return undefined;
  return `it is ${health} by its HEALTHCHECK, and ${label ? told(label) : "--require-healthy"} asks for a healthy one`;
}

/** The given name or the image's, with `-<port>` in a group, unless the name was given for the port. */
function nameOf({ port }: ContainerPort, metadata: Metadata, { container, inGroup }: Context) {
  const name = metadata.get("name");
  const value = name?.value ?? imageName(container.image);
  const from = name?.from ?? `image ${shown(container.image)}`;
  if (!inGroup || metadata.isOfPort("name")) return { value, from };
  return { value: `${value}-${port}`, from: `${from}, and its port, for several ports count` };
}

/** The last path segment of the image up to a colon: a digest leaves `nginx@sha256`, a bare id `sha256`. */
function imageName(image: string): string {
  const last = image.replace(/\/+$/, "").split("/").at(-1) ?? "";
  return last.split(":")[0] ?? "";
}

/** A given id takes the place of the whole, for every port that it is given for. */
function idOf({ port, protocol }: ContainerPort, metadata: Metadata, { container, node }: Context) {
  const suffix = protocol === "udp" ? ":udp" : "";
  return (
    metadata.get("id") ?? {
      value: `${node}:${container.name}:${port}${suffix}`,
      from: "the node, the container's name and its port",
    }
  );
}

function isRole(value: string | undefined): value is Role {
  return value === "master" || value === "slave";
}
