import { after } from "../clock.ts";
import type { Daemon } from "../daemon.ts";
import type { DaemonStatus } from "../daemon-status.ts";
import { refKey } from "../instance.ts";
import type { Context } from "./context.ts";
import { createLineBelow } from "./line-below.ts";

/** Shows people how far a daemon has come until it is in sync for the first time. */
export interface FirstSync {
  /** What the daemon is to write through: its lines stand above the one that is shown. */
  readonly context: Context;
  /** Begins to look at the daemon that there is at each moment. */
  follow(daemon: () => Daemon | undefined): void;
  /** Shows nothing more. */
  end(): void;
}

/** ms between two looks, and until the first: what is in sync sooner needs no line. */
const tick = 1_000;

/** One line on a terminal; elsewhere, and beside a log for programs, nothing. */
export function showFirstSync(context: Context): FirstSync {
  const line = createLineBelow(context);
  if (!line) return { context, follow() {}, end() {} };
  const { progress } = line;
  let cancel = () => {};
  let isShown = false;
  const end = () => {
    cancel();
    progress.clear();
  };
  return {
    context: line.context,
    follow(daemon) {
      const look = () => {
        const now = daemon();
        const [reason] = now?.notReady() ?? ["starts"];
        if (reason === undefined) {
          end();
          if (isShown) progress.step("in sync");
          return;
        }
        isShown = true;
        progress.waiting(["first sync", ...(now ? counts(now.status()) : []), oneLine(reason)].join(": "));
        cancel = after(tick, look);
      };
      cancel = after(tick, look);
      context.stop.addEventListener("abort", end, { once: true });
    },
    end,
  };
}

/** How many are done of how many: of the instances of a registrator, and of the files of a templater. */
function counts(status: DaemonStatus): readonly string[] {
  const { instances, backends = [], targets } = { ...status, ...status.registrator, ...status.templater };
  const wanted = (instances ?? []).map(refKey);
  const registered = backends.map(({ held }) => {
    const there = new Set(held.map(refKey));
    return wanted.filter((one) => there.has(one)).length;
  });
  const files = (targets ?? []).filter(({ reason }) => reason === undefined).length;
  return [
    ...(wanted.length > 0 ? [`${Math.min(...registered)} of ${wanted.length} instances`] : []),
    ...(targets?.length ? [`${files} of ${targets.length} files`] : []),
  ];
}

/** What a program printed may hold anything. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, " ");
}
