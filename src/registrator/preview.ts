import { type Owner, ownerText, type Snapshot } from "../backends/backend.ts";
import { deadline, pause } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { type Instance, refKey } from "../instance.ts";
import type { Override } from "../override.ts";
import { differences } from "./differences.ts";
import { believing, createFoundRoles } from "./found-roles.ts";
import type { RegistratorOptions } from "./index.ts";
import { fixedOverrides } from "./overrides/fixed.ts";
import { plan } from "./plan.ts";
import { createReporter } from "./report.ts";
import { watchDocker } from "./watch.ts";
import { createWishes } from "./wishes.ts";

/** What a registrator would do, without doing it. */
export interface Preview {
  /**
   * What it would change in a backend that holds this: see `differences`. `listed` asks what the owner lists,
   * where records do not name theirs.
   */
  of(
    snapshot: Snapshot,
    listed?: (owner: Owner, signal: AbortSignal) => Promise<readonly Instance[]>,
  ): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What a preview is made from: `ordered` are the overrides that were read. */
export type PreviewOptions = Omit<RegistratorOptions, "backends"> & { readonly ordered: readonly Override[] };

/**
 * Looks at Docker and waits until it is known what should be registered. Rejects, as `of` does, with the reason
 * when Docker does not answer or `signal` aborts before.
 */
export async function createPreview(
  { docker, settings, env, log, connect, ordered }: PreviewOptions,
  signal: AbortSignal,
): Promise<Preview> {
  const source = watchDocker(docker, settings, { env, ...(connect && { connect }) });
  const report = createReporter(log);
  // Nobody is asked: a role that the backend shows is taken to be still right.
  const roles = createFoundRoles(believing, () => {});
  const overrides = fixedOverrides(ordered);
  const wishes = createWishes({ source, docker, settings, env, run: "", report, roles, overrides });
  const close = () => source.close();

  /** Looks after each change, until it gives something. */
  const until = async <T>(look: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const { problem, known } = source.current();
      // Nobody waits here for a Docker that may come back.
      if (signal.aborted || (problem && !known)) {
        const silent = known ? report.standing()[0] : `Docker at ${docker} has not answered`;
        throw (
          problem?.error ?? new PortolanError("FAILED", silent ?? "Docker has not told of every container")
        );
      }
      const changed = new AbortController();
      const unsubscribe = source.subscribe(() => changed.abort());
      await pause(1000, deadline(1000, signal, changed.signal));
      unsubscribe();
    }
  };
  try {
    await until(wishes.current);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    async of(snapshot, listed = async () => []) {
      const wish = await until(wishes.current);
      const mine = ownerText(wish.owner);
      const all = [...snapshot.services.values()].flat();
      const standing = new Set(all.map(placeOf));
      // What is not ready may stand nowhere. What is, and does not, is not held any more.
      const ours = (await listed(wish.owner, signal)).filter(
        (instance) => instance.state !== "ready" || standing.has(placeOf(instance)),
      );
      const places = new Set(ours.map(placeOf));
      const isMine = (instance: Instance) => {
        const { id, owner } = instance;
        if (owner !== undefined) return owner === mine;
        return settings.adopt && wishes.isUpstream(id) && !places.has(placeOf(instance));
      };
      const own = [...ours, ...all.filter(isMine)].map(withoutChecks);
      const held = new Map(own.map((instance) => [refKey(instance), instance]));
      wishes.recall(own);
      const due = await until(() => {
        const now = wishes.current();
        const due = now && plan(now.instances.map(withoutChecks), held, now.fate);
        if (due && due.unknown.size > 0) wishes.recall(own);
        return due?.unknown.size === 0 ? due : undefined;
      });
      return differences(due, held);
    },
    close,
  };
}

/** What each layout shows of an instance. */
function placeOf({ address, port }: Instance): string {
  return `${address} ${port}`;
}

/** What a registry checks cannot be told from its records. */
function withoutChecks(instance: Instance): Instance {
  const { checks, ...rest } = instance;
  return rest;
}
