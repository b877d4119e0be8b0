import type { Instance } from "../../instance.ts";
import { type AddressPolicy, type Place, placesOf } from "../address/address.ts";
import type { Container, ContainerPort } from "../docker/container.ts";
import type { RoleSource } from "../roles/role-source.ts";
import {
  checkLifecycle,
  checksOf,
  labelTags,
  metaOf,
  roleOf,
  type Said,
  stateOf,
  weightOf,
} from "./attributes.ts";
import { isTrue, type Labels, readLabels, told } from "./labels.ts";
import { limits, whyNoName } from "./limits.ts";
import { defaultNames, givenNames, type Id, idOf, type Names, own, withPort } from "./names.ts";
import { createNotes, type Notes, portText } from "./notes.ts";
import type { Circumstances, Origins, Outcome, Reasoned } from "./outcome.ts";
import { phraseContext, phrasedName, phrasedTags } from "./phrases.ts";
import { notePortless, portsOf } from "./ports.ts";
import { shown } from "./shown.ts";

/** Portolan's own rules, which the user's documentation lists: one container's instances. */
export function nativeOutcome(container: Container, circumstances: Circumstances): Outcome {
  const notes = createNotes(container);
  const all = portsOf({ ...circumstances, container, notes });
  const candidates = candidatesOf(all, { ...circumstances, container, notes });
  const ports = candidates.map(({ port }) => port);
  const registered = candidates.flatMap((candidate) =>
    reasonedOf(candidate, { ...circumstances, container, notes, ports }),
  );
  notePortless(container, all, circumstances.settings.labelPrefix, notes);
  return { registered: withoutDoubles(registered, notes), remarks: notes.remarks };
}

interface Context extends Circumstances {
  readonly container: Container;
  readonly notes: Notes;
}

/** A port that will be registered, with everything that is known about it. */
interface Candidate {
  readonly port: ContainerPort;
  readonly labels: Labels;
  readonly names: Names;
  readonly places: readonly Place[];
}

function candidatesOf(ports: readonly ContainerPort[], context: Context): Candidate[] {
  const { container, notes, settings } = context;
  if (ports.length === 0) {
    notes.skipped(
      `it has no port: publish one with -p, or list them in ${settings.labelPrefix}PORTS under host networking`,
    );
  }
  return ports.flatMap((port): Candidate[] => {
    const labels = readLabels(container, port, settings.labelPrefix);
    const skip = (reason: string): Candidate[] => {
      notes.skipped(reason, port);
      return [];
    };
    for (const { unused, used } of labels.doubles) {
      notes.refused(unused, `the same key as ${told(used)}, which counts; remove one of them`, port);
    }
    const ignored = labels.get("ignore");
    if (isTrue(ignored)) return skip(`ignored by ${ignored && told(ignored)}`);
    const given = givenNames(labels, port, notes);
    if (settings.explicit && !given) {
      return skip(`--explicit, and the container gives no ${settings.labelPrefix}NAME`);
    }
    const unwell = whyUnwell(labels, context);
    if (unwell !== undefined) return skip(unwell);
    const places = placesFor(labels, port, context);
    if (places.length === 0) return [];
    checkLifecycle(labels, port, notes);
    return [{ port, labels, names: given ?? defaultNames(container), places }];
  });
}

/** Why a container must not be registered before it is healthy. */
function whyUnwell(labels: Labels, { container, settings }: Context): string | undefined {
  const { health } = container;
  if (health !== "starting" && health !== "unhealthy") return undefined;
  const label = labels.get("require_healthy");
  if (label ? !isTrue(label) : !settings.requireHealthy) return undefined;
  return `it is ${health} by its HEALTHCHECK, and ${label ? told(label) : "--require-healthy"} asks for a healthy one`;
}

/** Where the port is reached. What stands against it is noted. */
function placesFor(labels: Labels, port: ContainerPort, context: Context): readonly Place[] {
  const { container, networked, notes } = context;
  const number = portLabel(labels, port, notes);
  if (number === "unusable") return [];
  if (networked === undefined) {
    notes.skipped(whyNoNetwork(container), port);
    return [];
  }
  const policy = policyFor(labels, number, context);
  const { places, refused } = placesOf(networked, port, policy);
  const isMistake = policy.address !== undefined;
  for (const reason of refused) notes[isMistake ? "mistake" : "skipped"](reason, port);
  return places;
}

function whyNoNetwork({ networkMode }: Container): string {
  const target = shown(networkMode.replace(/^container:/, "").slice(0, 64));
  return `it uses the network of container ${target}, which does not run here, or uses its network in turn`;
}

function portLabel(labels: Labels, port: ContainerPort, notes: Notes): AddressPolicy["port"] | "unusable" {
  const label = labels.get("port");
  const text = label?.value.trim() ?? "";
  if (!label || text === "") return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65535) return { number, from: label.from };
  notes.mistake(
    `${told(label)}: not a port; use a number from 1 to 65535 (the port is not registered)`,
    port,
  );
  return "unusable";
}

function policyFor(labels: Labels, port: AddressPolicy["port"], context: Context): AddressPolicy {
  const { settings, hostAddress, otherHostAddress } = context;
  const internal = labels.get("internal");
  const network = labels.get("network");
  const named =
    network && network.value.trim() !== "" ? { ...network, value: network.value.trim() } : undefined;
  const option = settings.network === undefined ? undefined : { value: settings.network, from: "--network" };
  const wish = isTrue(internal) ? internal?.from : internal ? undefined : named?.from;
  return {
    hostAddress,
    hostAddressFrom: settings.ip === undefined ? "the address of the default route" : `--ip ${settings.ip}`,
    otherHostAddress,
    internal: wish ?? (settings.internal && !internal ? "--internal" : undefined),
    network: named ?? option,
    address: addressLabel(labels, context),
    labelPrefix: settings.labelPrefix,
    port,
  };
}

/** SERVICE_IP, else the label that `--use-ip-from-label` names, without the prefix length of `10.0.0.5/24`. */
function addressLabel(labels: Labels, { container, settings, notes }: Context): AddressPolicy["address"] {
  const given = labels.get("ip");
  const value = given?.value.trim() ?? "";
  if (given && value !== "") return { value, from: given.from, mayBeLoopback: true };
  const name = settings.useIpFromLabel;
  if (name === undefined) return undefined;
  const text = (own(container.labels, name) ?? "").trim();
  const from = `label ${shown(name)} (--use-ip-from-label)`;
  if (text !== "") return { value: text.replace(/\/[^/]*$/s, ""), from, mayBeLoopback: false };
  notes.mistake(`${from}: the container has no such label, or it is empty; the address is the usual one`);
  return undefined;
}

interface Registering extends Context {
  /** The ports that are registered. */
  readonly ports: readonly ContainerPort[];
}

function reasonedOf({ port, labels, names, places }: Candidate, context: Registering): Reasoned[] {
  const { container, node, owner, notes, ports, settings } = context;
  const ruled = withPort(names, port, ports.length > 1);
  const id = idOf(labels, { container, port, node, ports, notes });
  const weight = weightOf(labels, port, notes);
  const state = stateOf(container);
  const role = roleOf(labels, port, notes);
  const fixed = typeof role?.value === "string" ? role.value : undefined;
  const source = typeof role?.value === "object" ? role.value : undefined;
  const given = labelTags(labels, port, notes);
  const meta = metaOf(labels, port, notes);
  const checks = checksOf(labels, port, notes);
  const asked = role && source && { ...role, from: `${role.from}: ${howFound(source)}` };
  const origins = attributeOrigins({ weight, state, role: asked ?? role, meta, checks });

  const phrase = phraseContext(container, port, node);
  const services = new Map<string, string>();
  for (const name of ruled.names) {
    const { value, from } = phrasedName(
      { value: name, from: ruled.from },
      settings.name,
      phrase,
      port,
      notes,
    );
    if (!services.has(value)) services.set(value, from);
  }
  return [...services].flatMap(([service, serviceFrom], nameAt) => {
    const added = phrasedTags(settings.tags, { ...phrase, service }, port, notes);
    const tags = allTags([given, added, { value: fixed === undefined ? [] : [fixed], from: "the role" }]);
    return places.flatMap((place, placeAt): Reasoned[] => {
      const whole = wholeId(id, { service, nameAt, places, placeAt });
      const why = whyNoName(service) ?? whyNoName(whole.id);
      if (why !== undefined) {
        const what = whyNoName(service) === undefined ? `id ${shown(whole.id)}` : `name ${shown(service)}`;
        notes.mistake(
          `the ${what} ${why}; give another one with ${settings.labelPrefix}NAME or ${settings.labelPrefix}ID (it is not registered)`,
          port,
        );
        return [];
      }
      const instance: Instance = {
        id: whole.id,
        service,
        address: place.address,
        port: place.port,
        protocol: port.protocol,
        tags: tags.value,
        meta: valuesOf(meta),
        weight: weight.value,
        state: state.value,
        ...(fixed !== undefined && { role: fixed }),
        node,
        container: { id: container.id, name: container.name, image: container.image },
        owner,
        ...(checks.size > 0 && { checks: valuesOf(checks) }),
      };
      return [
        {
          instance,
          port: portText(port),
          ...(source && { roleSource: source }),
          origins: {
            service: serviceFrom,
            id: whole.from,
            address: place.addressFrom,
            port: place.portFrom,
            protocol: `port ${portText(port)} of the container`,
            tags: tags.from,
            node: settings.node === undefined ? "Docker's host name" : "--node",
            ...origins,
          },
        },
      ];
    });
  });
}

/** Half a sentence. */
function howFound(source: RoleSource): string {
  return source.by === "elect" ? "by election" : "as the server itself says when it is asked";
}

/** How the fields came to be that are the same for all instances of a port. */
function attributeOrigins(fields: {
  readonly weight: Said<unknown>;
  readonly state: Said<unknown>;
  readonly role: Said<unknown> | undefined;
  readonly meta: ReadonlyMap<string, Said<unknown>>;
  readonly checks: ReadonlyMap<string, Said<unknown>>;
}): Origins {
  const { weight, state, role, meta, checks } = fields;
  return {
    weight: weight.from,
    state: state.from,
    ...(role && { role: role.from }),
    ...Object.fromEntries([...meta].map(([key, { from }]) => [`meta.${key}`, from])),
    ...Object.fromEntries([...checks].map(([key, { from }]) => [`checks.${key}`, from])),
  };
}

/** The id of one of a port's instances: `:<name>` for a further name, `@<host port>` for a further binding. */
function wholeId(
  { id, from }: Id,
  at: {
    readonly service: string;
    readonly nameAt: number;
    readonly places: readonly Place[];
    readonly placeAt: number;
  },
): Id {
  const name = at.nameAt > 0 ? `:${at.service}` : "";
  const place = bindingSuffix(at.places, at.placeAt);
  return {
    id: id + name + place,
    from:
      from +
      (name === "" ? "" : ", and the service, for it is a further name") +
      (place === "" ? "" : ", and the port, for it is a further binding"),
  };
}

/** Nothing for the first binding, `@<host port>` for a further one, with its address if that is not unique. */
function bindingSuffix(places: readonly Place[], at: number): string {
  const place = places[at];
  if (at === 0 || !place) return "";
  const unique = places.slice(1).filter(({ port }) => port === place.port).length === 1;
  return unique ? `@${place.port}` : `@${place.address}:${place.port}`;
}

function allTags(sources: readonly Said<readonly string[]>[]): Said<readonly string[]> {
  const all = [...new Set(sources.flatMap(({ value }) => value))];
  const from = sources.filter(({ value }) => value.length > 0).map((source) => source.from);
  return { value: all.slice(0, 2 * limits.tags), from: from.join(", ") || "none is given" };
}

function valuesOf(all: ReadonlyMap<string, { readonly value: string }>): Record<string, string> {
  return Object.fromEntries([...all].map(([key, { value }]) => [key, value]));
}

/** Two ports that are given one id: the later one is refused, as between containers. */
function withoutDoubles(registered: readonly Reasoned[], notes: Notes): readonly Reasoned[] {
  const byId = new Map<string, Reasoned>();
  for (const reasoned of registered) {
    const { id } = reasoned.instance;
    const holder = byId.get(id);
    if (holder) {
      const what = `id ${shown(id)} (${reasoned.origins.id}) is taken by ${holder.origins.protocol}`;
      notes.mistake(`${what}, so ${reasoned.origins.protocol} is not registered; give each its own id`);
    } else byId.set(id, reasoned);
  }
  return [...byId.values()];
}
