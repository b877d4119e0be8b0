import { type Acknowledgement, decodeAcknowledgement } from "../acknowledgement.ts";
import type { Notes } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { deadline } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import type { Source } from "../source.ts";
import type { Context } from "./context.ts";
import type { Progress } from "./progress.ts";
import { settle } from "./settle.ts";

/** A templater that lives, as its note tells. */
export interface LiveTemplater {
  readonly name: string;
  /** Undefined where the note cannot be read: then nobody knows what it has applied. */
  readonly note: Acknowledgement | undefined;
}

/** The backend as those see it who replace containers. */
export interface Registry {
  readonly title: string;
  /** All instances, as they are known now. */
  instances(): readonly Instance[];
  /** All templaters that live, by name. */
  templaters(): readonly LiveTemplater[];
  readonly overrides: Notes;
  /**
   * Waits until `left` names nothing any more, asked again after each change. Resolves with what is left after `ms`.
   * `what` says what is waited for. Rejects with ABORTED when the command is interrupted, with the backend's own
   * problem at once where it refuses, and after `ms` where it is not reached.
   */
  until(
    what: (left: readonly string[]) => string,
    left: () => readonly string[],
    ms: number,
  ): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** ms that the backend has for its first answer. */
const patience = 10_000;

/** Opens the backend of a command and resolves when all is known. Rejects with the backend's own problem. */
export async function openRegistry(
  { settings, env, stop }: Pick<Context, "settings" | "env" | "stop">,
  progress: Progress,
): Promise<Registry> {
  const backend = await openBackend(settings.values.backend[0] ?? "", { env, onlyLooks: true });
  const { title } = backend;
  const overrides = backend.notes?.("overrides");
  const templaters = backend.notes?.("templaters").watch();
  const observation = backend.observe({ services: "all" });
  const close = async () => {
    await Promise.all([observation.close(), templaters?.close()]);
    await backend.close();
  };
  try {
    if (!overrides || !templaters)
      throw new PortolanError(
        "FAILED",
        `${title} keeps no notes, so nobody can tell what its load balancer has applied; use \`docker stop\``,
      );
    const knownOf = <T>(source: Pick<Source<T>, "current">): T | undefined => {
      const now = source.current();
      return now.known ? now.value : undefined;
    };
    const complete = () => (knownOf(observation)?.complete ? true : undefined);
    await settle(observation, title, complete, patience, stop);
    await settle(templaters, title, () => knownOf(templaters), patience, stop);
    return {
      title,
      overrides,
      instances: () => [...(knownOf(observation)?.services.values() ?? [])].flat(),
      templaters: () => [...(knownOf(templaters) ?? [])].map(([name, text]) => templaterOf(name, text)),
      async until(what, left, ms) {
        const limit = deadline(ms, stop);
        try {
          for (;;) {
            // Listening begins before the look, so that no change falls between them.
            const change = nextChange([observation, templaters], limit);
            const now = left();
            if (now.length === 0) return now;
            if (stop.aborted) throw new PortolanError("ABORTED", "interrupted");
            for (const { problem } of [observation.current(), templaters.current()])
              if (problem?.kind === "denied" || (problem && limit.aborted)) throw problem.error;
            if (limit.aborted) return now;
            progress.waiting(what(now));
            await change;
          }
        } finally {
          progress.waiting(undefined);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function templaterOf(name: string, text: string): LiveTemplater {
  try {
    return { name, note: decodeAcknowledgement(text, `templaters/${name}`) };
  } catch {
    return { name, note: undefined };
  }
}

/** Resolves at the next change of any source, or when `signal` aborts. */
function nextChange(sources: readonly Pick<Source<unknown>, "subscribe">[], signal: AbortSignal) {
  return new Promise<void>((resolve) => {
    const done = () => {
      for (const unsubscribe of unsubscribes) unsubscribe();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const unsubscribes = sources.map((source) => source.subscribe(done));
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
