import type { Backend } from "../backends/backend.ts";
import { deadline, monotonic } from "../clock.ts";
import { giveUp } from "../held-lock.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";

/** ms that a backend has for its answer. */
const patience = 5_000;
/** Seconds that a lock lives which nobody gives up. */
const ttl = 15;

/**
 * Whether hosts can take turns to reload: a lock is taken and given up beside theirs, so that nobody waits for it.
 * `name` is that of the turns, and `contender` nobody else's.
 */
export async function lookAtTurns(
  { title, lock }: Backend,
  {
    name,
    contender,
    stop,
  }: { readonly name: string; readonly contender: string; readonly stop: AbortSignal },
): Promise<Finding> {
  const about = `backend ${title}`;
  if (lock === undefined) {
    return {
      about,
      level: "wrong",
      found: `it has no locks by which hosts could take turns as ${name}`,
      means: "no templater starts with it",
      wayOut:
        "leave reloadTurns out, or use consul://, etcd://, zookeeper:// or a file:// that all hosts share",
    };
  }
  const one = lock(`reload/${name}/doctor`, contender, ttl);
  const began = monotonic();
  try {
    await one.renew(deadline(patience, stop));
    return ok(about, `reloads can take turns as ${name}: a lock takes ${Math.round(monotonic() - began)} ms`);
  } catch (error) {
    const means = `hosts reload without their turns as ${name}: several may do so at once`;
    return troubleOf(about, "warning", error, means, "see `portolan acl` for the rights that it needs");
  } finally {
    await giveUp(one);
  }
}
