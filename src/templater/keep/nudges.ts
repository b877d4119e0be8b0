import { dirname } from "node:path";
import type { Watched } from "../../watched-files.ts";
import type { GuardedWorld } from "../guarded-world.ts";
import type { Isolation } from "../isolation.ts";
import type { PinLook } from "../pin-look.ts";
import type { Quarantine } from "../quarantine.ts";
import type { Verdicts } from "../verdicts.ts";
import type { Applying } from "./applying.ts";
import type { Keeper } from "./keeper.ts";
import type { Lag } from "./lag.ts";
import type { Pass } from "./pass.ts";
import type { KeptTarget, Rendering } from "./rendering.ts";
import type { Report } from "./report.ts";

/** What makes a keeper do another pass. Nothing does before it is known what the process before has left. */
export interface Nudges extends Pick<Keeper, "look" | "reload" | "pinned" | "watched" | "touched"> {
  /** Nothing is looked at any more. */
  stop(): void;
}

/** What nudges need of the keeper around them. */
export interface NudgesOptions {
  readonly kept: readonly KeptTarget[];
  readonly world: Pick<GuardedWorld, "ready" | "notReady">;
  readonly quarantine: Pick<Quarantine, "tryAgain">;
  readonly isolation: Pick<Isolation, "begin">;
  readonly pins: Pick<PinLook, "changed">;
  readonly rendering: Pick<Rendering, "look">;
  readonly applying: Pick<Applying, "forgetRefused">;
  readonly pass: Pick<Pass, "stale">;
  readonly lag: Pick<Lag, "changed">;
  readonly report: Report;
  readonly verdicts: Pick<Verdicts, "because" | "tell">;
  nudge(): void;
  /** What the keeper says of itself may have changed. */
  changed(): void;
}

/** Containers that a change names as its causes. */
const mostNames = 20;

/** Looks for the first time once the world is ready. */
export function createNudges(options: NudgesOptions): Nudges {
  const { kept, world, quarantine, isolation, pins, rendering, applying, pass, lag, report, verdicts } =
    options;
  let isReady = false;
  let isStopped = false;
  let isStarted = false;

  const renderSoon = () => {
    pass.stale();
    lag.changed();
    options.nudge();
  };

  const look = () => {
    if (!isReady) return;
    const wasHeld = world.notReady().length > 0;
    const { isNews, containers } = rendering.look();
    for (const container of [...containers].slice(0, mostNames)) verdicts.because(`container ${container}`);
    const isDue = isNews || !isStarted;
    if (isDue && wasHeld && report.reason() === undefined) report.setReason("what was held is being applied");
    const [held] = world.notReady();
    if (held !== undefined) verdicts.tell("held", { why: held, gist: held });
    options.changed();
    if (!isDue) return;
    isStarted = true;
    renderSoon();
  };

  const reread = () => {
    for (const { template } of kept) template.reread();
    applying.forgetRefused();
    quarantine.tryAgain();
    isolation.begin();
    verdicts.because("templates read again");
    renderSoon();
  };

  const watched = (): Watched => ({
    files: new Set(kept.flatMap(({ template }) => [...(template.wanted().files ?? [])])),
    folders: new Set(kept.map(({ target }) => dirname(target.source))),
  });

  void world.ready.then(() => {
    if (isStopped) return;
    isReady = true;
    look();
    options.changed();
  });

  return {
    look,
    reload() {
      // Whoever asks for it wants to hear what is wrong, also when it is what was wrong before.
      report.forget();
      reread();
    },
    pinned() {
      applying.forgetRefused();
      pins.changed();
      renderSoon();
    },
    watched,
    touched(paths) {
      const { files, folders } = watched();
      const isTemplate = (path: string) => path.endsWith(".hbs") && folders.has(dirname(path));
      if ([...paths].some(isTemplate)) return reread();
      if (![...paths].some((path) => files.has(path))) return;
      verdicts.because("a file that the templates read has changed");
      renderSoon();
    },
    stop() {
      isStopped = true;
    },
  };
}
