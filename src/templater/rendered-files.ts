import type { KeySnapshot, Snapshot } from "../backends/backend.ts";
import type { Instance } from "../instance.ts";
import type { ContainerQuery } from "./containers.ts";
import { fileOf } from "./each.ts";
import { type Refused, type RefusedContainer, renderTemplate, type Template } from "./render.ts";
import type { Target } from "./target.ts";
import { type Reads, sameKeys, sameReads, type World } from "./view.ts";

/** A file as a template gave it. */
export interface FileText {
  readonly destination: string;
  readonly text: string;
  /** Whose file it is, where there is one for each service. */
  readonly service?: string;
}

/** A service that has no file, though it should. */
export interface LeftOut {
  readonly service: string;
  readonly reason: string;
}

/** What became of a render of all files of a target. */
export type RenderedFiles =
  | {
      readonly status: "rendered";
      readonly files: readonly FileText[];
      readonly reads: Reads;
      readonly refused: readonly Refused[];
      /** Absent when there are none. */
      readonly refusedContainers?: readonly RefusedContainer[];
      readonly leftOut: readonly LeftOut[];
    }
  /** Something that it reads is not known yet. `for` says what, in words. */
  | { readonly status: "waiting"; readonly for: readonly string[]; readonly reads: Reads };

/** Renders the files of a target; throws what `renderTemplate` throws. */
export type RenderFiles = (template: Template, world: World) => RenderedFiles;

/** How a target is rendered: once, or once for each service. */
export function rendererOf(target: Pick<Target, "destination" | "forEach">): RenderFiles {
  if (target.forEach !== undefined) return eachRenderer(target);
  return (template, world) => {
    const rendered = renderTemplate(template, world);
    if (rendered.status === "waiting") return rendered;
    const { text, ...rest } = rendered;
    return { ...rest, files: [{ destination: target.destination, text }], leftOut: [] };
  };
}

/** What the last render of a service's file was made of, and what it gave. */
interface Kept {
  readonly list: readonly Instance[];
  readonly snapshot: Snapshot;
  readonly keys: KeySnapshot | "none" | undefined;
  readonly outcome: Exclude<ReturnType<typeof renderService>, { status: "waiting" }>;
}

/** A service of which nothing that its file shows has changed is not rendered again. */
function eachRenderer({ destination, forEach }: Pick<Target, "destination" | "forEach">): RenderFiles {
  let before = new Map<string, Kept>();
  let renderedBy: Template | undefined;

  return (template, world) => {
    const { snapshot } = world;
    if (!snapshot?.complete)
      return { status: "waiting", for: ["the list of services"], reads: { services: new Set(), all: true } };
    const last = renderedBy === template ? before : new Map<string, Kept>();
    const next = new Map<string, Kept>();
    const waitsFor = new Set<string>();
    const reads = createReads();
    const files: FileText[] = [];
    const refused: Refused[] = [];
    const containers = new Map<string, RefusedContainer>();
    const leftOut: LeftOut[] = [];
    const taken = new Set<string>();
    const services = [...snapshot.services].filter(
      ([, list]) => list.length > 0 && hasTag(list, forEach?.tag),
    );
    for (const [service, list] of services) {
      const path = fileOf({ destination }, service);
      if (path === undefined) {
        leftOut.push({ service, reason: "its name is too long for the name of a file" });
        continue;
      }
      // Halves of characters all become the same bytes.
      if (taken.has(path)) {
        leftOut.push({ service, reason: `its file ${path} is that of another service` });
        continue;
      }
      taken.add(path);
      const kept = last.get(service);
      const isSame =
        kept?.list === list &&
        isCertain(kept.outcome.reads) &&
        sameReads(kept.outcome.reads, kept.snapshot, snapshot) &&
        sameKeys(kept.outcome.reads, kept.keys, world.keys);
      const outcome = isSame ? kept.outcome : renderService(template, world, service);
      reads.add(outcome.reads);
      if (outcome.status === "waiting") {
        for (const what of outcome.for) waitsFor.add(what);
        continue;
      }
      next.set(service, { list, snapshot, keys: world.keys, outcome });
      refused.push(...outcome.refused);
      if (outcome.status === "rendered") {
        files.push({ destination: path, text: outcome.text, service });
        for (const one of outcome.refusedContainers ?? []) containers.set(one.name, one);
      } else leftOut.push({ service, reason: "its name cannot stand in the file, and no instance is left" });
    }
    [before, renderedBy] = [next, template];
    if (waitsFor.size > 0) return { status: "waiting", for: [...waitsFor].sort(), reads: reads.all() };
    const refusedContainers = [...containers.values()];
    return { status: "rendered", files, reads: reads.all(), refused, refusedContainers, leftOut };
  };
}

/** What else a service's file reads: that it shows its own service goes without saying. */
function renderService(template: Template, world: World, service: string) {
  const rendered = renderTemplate(template, world, service);
  const services = new Set(rendered.reads.services);
  services.delete(service);
  return { ...rendered, reads: { ...rendered.reads, services } };
}

/** Files and containers are looked at anew each time. */
const isCertain = ({ files, containers }: Reads) => files === undefined && containers === undefined;

const hasTag = (list: readonly Instance[], tag: string | undefined) =>
  tag === undefined || list.some(({ tags }) => tags.includes(tag));

/** What all renders of a target have read together; the list of services is always a part of it. */
function createReads() {
  const services = new Set<string>();
  const files = new Set<string>();
  const keys = new Set<string>();
  const trees = new Set<string>();
  const containers = new Map<string, ContainerQuery>();
  return {
    add(reads: Reads) {
      for (const name of reads.services) services.add(name);
      for (const path of reads.files ?? []) files.add(path);
      for (const key of reads.keys ?? []) keys.add(key);
      for (const path of reads.trees ?? []) trees.add(path);
      for (const [key, query] of reads.containers ?? []) containers.set(key, query);
    },
    all: (): Reads => ({
      services,
      all: true,
      ...(files.size > 0 && { files }),
      ...(keys.size > 0 && { keys }),
      ...(trees.size > 0 && { trees }),
      ...(containers.size > 0 && { containers }),
    }),
  };
}
