import { sameContainers } from "./containers.ts";
import { templateLoader } from "./load.ts";
import type { Template } from "./render.ts";
import { type RenderedFiles, rendererOf } from "./rendered-files.ts";
import type { Target } from "./target.ts";
import { type Reads, sameKeys, sameReads, type World } from "./view.ts";

/** A render, and why it may not be that of the template on the disk. */
export interface Made {
  readonly outcome: RenderedFiles;
  /** What is wrong with the template on the disk, while the one before is used. */
  readonly bad: unknown;
}

/** A template that is read again when its author has changed it, and stays what it was while it is bad. */
export interface KeptTemplate {
  /** What the last render read. */
  reads(): Reads;
  /** What the backend is to be asked for: while an edited template is not in use yet, what both read. */
  wanted(): Reads;
  /** False before the first render: until then nobody knows what the template reads. */
  isKnown(): boolean;
  /** True when a render of these would give what the last one gave. */
  shows(world: Pick<World, "snapshot" | "keys" | "containers">): boolean;
  /** The file has changed: it is read again before the next render. */
  reread(): void;
  /** Reads the file when that is due. Never rejects: what is wrong shows in the render. */
  prepare(): Promise<void>;
  /** Renders what was prepared. Throws TEMPLATE or TEMPLATE_MISSING when no template is good. */
  render(world: World): Made;
  /** What the template that was rendered last gives of a world that is not to count. Throws TEMPLATE. */
  rehearse(world: World): RenderedFiles;
}

/** Keeps a target's template. Nothing is read before the first `prepare`. `inAgent`: containers can be read. */
export function keepTemplate(target: Target, { inAgent }: { readonly inAgent: boolean }): KeptTemplate {
  const load = templateLoader(target.source, { inAgent, format: target.format });
  const renderFiles = rendererOf(target);
  /** The last template that rendered, and one that was read since and still waits for what it reads. */
  let template: Template | undefined;
  let waiting: Template | undefined;
  /** The file is to be read again. */
  let stale = true;
  let next: { readonly template: Template } | { readonly error: unknown } | undefined;
  /** True when `next` has not rendered yet. */
  let isReread = false;
  let reads: Reads | undefined;
  let wanted: Reads | undefined;
  /** What the last render was made from. */
  let rendered: Pick<World, "snapshot" | "keys" | "containers"> = { snapshot: undefined };
  /** True when `reads` says what the last render depended on: one that failed does not tell. */
  let readsKnown = false;

  const renderWith = (used: Template, world: World): RenderedFiles => {
    rendered = { snapshot: world.snapshot, keys: world.keys, containers: world.containers };
    readsKnown = false;
    const outcome = renderFiles(used, world);
    reads = outcome.reads;
    readsKnown = true;
    wanted = used === template && !isReread ? reads : both(wanted, reads);
    return outcome;
  };

  return {
    reads: () => reads ?? none,
    wanted: () => wanted ?? none,
    isKnown: () => wanted !== undefined,
    shows: ({ snapshot, keys, containers }) =>
      readsKnown && reads !== undefined
        ? sameReads(reads, rendered.snapshot, snapshot) &&
          sameKeys(reads, rendered.keys, keys) &&
          sameContainers(reads, rendered.containers, containers)
        : rendered.snapshot === snapshot && rendered.keys === keys && rendered.containers === containers,
    reread() {
      stale = true;
    },
    async prepare() {
      const known = stale ? undefined : (waiting ?? template);
      isReread = known === undefined || known === waiting;
      stale = false;
      if (known) {
        next = { template: known };
        return;
      }
      next = await load().then(
        (loaded) => ({ template: loaded }),
        (error: unknown) => ({ error }),
      );
    },
    render(world) {
      try {
        if (next === undefined || "error" in next) throw next?.error;
        const used = next.template;
        const outcome = renderWith(used, world);
        // One that waits has not shown yet that it can be rendered.
        if (outcome.status === "rendered") {
          wanted = outcome.reads;
          template = used;
          waiting = undefined;
        } else waiting = used === template ? undefined : used;
        return { outcome, bad: undefined };
      } catch (bad) {
        // It is read again at the next try: its author may be mending it.
        stale = true;
        waiting = undefined;
        if (!isReread || !template) throw bad;
        return { outcome: renderWith(template, world), bad };
      }
    },
    rehearse: (world) =>
      template ? renderFiles(template, world) : { status: "waiting", for: [], reads: none },
  };
}

const none: Reads = { services: new Set(), all: false };

function both(a: Reads | undefined, b: Reads): Reads {
  if (a === undefined) return b;
  const [files, keys, trees] = (["files", "keys", "trees"] as const).map(
    (kind) => new Set([...(a[kind] ?? []), ...(b[kind] ?? [])]),
  );
  const containers = new Map([...(a.containers ?? []), ...(b.containers ?? [])]);
  return {
    services: new Set([...a.services, ...b.services]),
    all: a.all || b.all,
    ...(files && files.size > 0 && { files }),
    ...(keys && keys.size > 0 && { keys }),
    ...(trees && trees.size > 0 && { trees }),
    ...(containers.size > 0 && { containers }),
  };
}
