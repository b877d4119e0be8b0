import type { Snapshot } from "../../backends/backend.ts";
import { monotonic } from "../../clock.ts";
import type { TargetStatus } from "../../daemon-status.ts";
import { changedContainers } from "../containers.ts";
import type { GuardedWorld } from "../guarded-world.ts";
import type { KeptTemplate } from "../kept-template.ts";
import type { KnownSecrets } from "../known-secrets.ts";
import { lookAhead } from "../look-ahead.ts";
import type { Quarantine } from "../quarantine.ts";
import type { RenderedFiles } from "../rendered-files.ts";
import type { Tally } from "../tally.ts";
import type { Target } from "../target.ts";
import type { Reads, World } from "../view.ts";
import type { KeepOptions, Surroundings } from "./keeper.ts";
import type { Lag } from "./lag.ts";
import type { Outcome } from "./outcome.ts";

/** A target, and the template that it is rendered from. */
export interface KeptTarget {
  readonly target: Target;
  readonly template: KeptTemplate;
}

/** Renders the templates of a group, all of them of one world. */
export interface Rendering {
  /** What the last render of each template read. */
  reads(): readonly Reads[];
  /** What has changed since the last look, and since the last render. */
  look(): News;
  /** Renders the templates as they stand on the disk; while one is bad, its last good one. Rejects when none is good. */
  render(): Promise<Outcome>;
  /** What the templates in use give of a world that is not to count. Throws TEMPLATE. */
  rehearse(
    snapshot: Snapshot,
    keys: World["keys"],
  ): readonly { readonly target: Target; readonly outcome: RenderedFiles }[];
  /** Why a template on the disk is not the one in use. */
  bad(): unknown;
  status(): Pick<TargetStatus, "rendered">;
}

/** What a look has found. */
export interface News {
  /** False when a render would give what the last one gave. */
  readonly isNews: boolean;
  /** The containers, among those that templates read, that are not what they were. */
  readonly containers: ReadonlySet<string>;
}

/** What a rendering needs of the keeper around it. */
export interface RenderingOptions {
  readonly kept: readonly KeptTarget[];
  readonly world: GuardedWorld;
  readonly quarantine: Quarantine;
  readonly secrets: KnownSecrets;
  readonly lag: Pick<Lag, "rendering">;
  readonly tally: Pick<Tally, "rendered">;
  readonly options: Pick<KeepOptions, "env" | "node" | "ownContainer" | "preview">;
  readonly around: Pick<Surroundings, "keys" | "keysAway" | "containers" | "want">;
}

/** Renders that are worth it, because what templates read by name shows only as they are rendered. */
const mostRounds = 3;

/** Nothing is rendered before the first `render`. */
export function createRendering(parts: RenderingOptions): Rendering {
  const { kept, world, quarantine, secrets, lag, tally, options, around } = parts;
  let bad: unknown;
  /** The containers of this host at the last look. */
  let seen: World["containers"];
  /** The last render: when it ended on the monotonic clock, and how long it took, in ms. */
  let last: { readonly at: number; readonly took: number } | undefined;

  const reads = () => kept.map(({ template }) => template.reads());
  const keysNow = () => world.keys(around.keys(), around.keysAway());

  const factsOf = (snapshot: Snapshot | undefined, keys: World["keys"]): World => {
    const { env, node, ownContainer } = options;
    const containers = around.containers();
    return { snapshot, keys, containers, env, node, ownContainer, file: secrets.file };
  };

  return {
    reads,
    look() {
      world.look();
      const { snapshot } = quarantine.show(world.show(reads()).snapshot);
      const now = { snapshot, keys: keysNow(), containers: around.containers() };
      const queries = reads().flatMap(({ containers }) => [...(containers?.values() ?? [])]);
      // What was not known before is no change.
      const containers = seen === undefined ? [] : changedContainers(queries, seen, now.containers);
      seen = now.containers;
      return { isNews: !kept.every(({ template }) => template.shows(now)), containers: new Set(containers) };
    },
    async render() {
      await Promise.all([world.ready, ...kept.map(({ template }) => template.prepare())]);
      lag.rendering();
      const began = monotonic();
      let made: Outcome["made"] | undefined;
      quarantine.tryAgain(monotonic());
      try {
        let guarded = world.show(reads());
        for (let round = 1; ; round++) {
          const { snapshot, heldBack } = quarantine.show(guarded.snapshot);
          const facts = factsOf(snapshot, keysNow());
          secrets.note(facts);
          made = undefined;
          made = kept.map(({ target, template }) => ({ target, ...template.render(facts) }));
          bad = made.find((one) => one.bad !== undefined)?.bad;
          // What the templates read by name, and the guard may keep, shows only as they are rendered.
          const next = world.show(reads());
          if (next.snapshot === guarded.snapshot || round === mostRounds) {
            if (next.unmet.length === 0 && !options.preview) lookAheadAt(made);
            return { made, snapshot, heldBack, keys: facts.keys, unmet: next.unmet };
          }
          guarded = next;
        }
      } finally {
        const outcomes = made?.map(({ outcome }) => outcome);
        tally.rendered(began, outcomes);
        last = { at: monotonic(), took: monotonic() - began };
        around.want();
      }
    },
    rehearse(snapshot, keys) {
      const facts = factsOf(snapshot, keys);
      return kept.map(({ target, template }) => ({ target, outcome: template.rehearse(facts) }));
    },
    bad: () => bad,
    status: () =>
      last === undefined
        ? {}
        : {
            rendered: {
              secondsAgo: Math.round((monotonic() - last.at) / 1000),
              tookMs: Math.round(last.took * 10) / 10,
            },
          },
  };
}

/** A file that goes with no others is what an install will begin with. */
function lookAheadAt(made: Outcome["made"]): void {
  const [only, ...others] = made;
  if (others.length > 0 || only?.outcome.status !== "rendered") return;
  const { target, outcome } = only;
  for (const { text } of target.forEach === undefined ? outcome.files : []) lookAhead({ text, target });
}
