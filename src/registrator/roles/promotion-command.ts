import { monotonic } from "../../clock.ts";
import type { Instance } from "../../instance.ts";
import type { Log } from "../../log.ts";
import type { Meter } from "../../meter.ts";
import { type Environment, failureOf, runCommand } from "../../run-command.ts";
import type { Promote } from "./promotion.ts";

/** What is run for whoever wins an election. */
export interface PromotionCommand {
  /** Runs without a shell. */
  readonly argv: readonly string[];
  /** ms after which it is ended together with its process group. */
  readonly timeout: number;
}

/**
 * Promotes an instance by a command, which gets `env` and the change: `PORTOLAN_SERVICE`, `PORTOLAN_INSTANCE` (its
 * id), `PORTOLAN_CONTAINER` (the name), `PORTOLAN_NODE`, `PORTOLAN_ADDRESS`, `PORTOLAN_PORT`, `PORTOLAN_ROLE` and
 * `PORTOLAN_TOKEN`. What it prints is logged when it fails.
 */
export function promotionBy(
  { argv, timeout }: PromotionCommand,
  { env, log, meter }: { readonly env: Environment; readonly log: Log; readonly meter: Meter },
): (instance: Instance) => Promote {
  return ({ service, id, container, node, address, port }) =>
    async (token, signal) => {
      const began = monotonic();
      const change = {
        PORTOLAN_SERVICE: service,
        PORTOLAN_INSTANCE: id,
        PORTOLAN_CONTAINER: container?.name,
        PORTOLAN_NODE: node,
        PORTOLAN_ADDRESS: address,
        PORTOLAN_PORT: String(port),
        PORTOLAN_ROLE: "master",
        PORTOLAN_TOKEN: token,
      };
      const ended = await runCommand({ argv }, { timeout, env: { ...env, ...change }, signal });
      const fields = { service, id, token, tookMs: Math.round(monotonic() - began) };
      if (signal.aborted) {
        meter.count("promotions", { result: "cancelled" });
        log.warn(fields, "not promoted: the lock is lost or given up, so the command was ended");
        throw new Error("the promotion was cancelled");
      }
      const failure = failureOf({ argv }, ended, timeout);
      meter.count("promotions", { result: failure === undefined ? "done" : "failed" });
      if (failure === undefined) return log.info(fields, "promoted by the command for that");
      log.error({ ...fields, code: "FAILED" }, `not promoted, so the lock is given up: ${failure}`);
      // What it has printed stands in the log.
      throw new Error(failure.split(/:?\n/, 1)[0]);
    };
}
