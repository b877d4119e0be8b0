import { hostname } from "node:os";
import { PortolanError } from "../errors.ts";
import { withDrain, withoutDrain } from "../override.ts";
import type { Context } from "./context.ts";
import { orderOf, orderOverride } from "./override-order.ts";

/** `portolan drain`: takes an instance, or all of a node, out of rotation. */
export function runDrain(context: Context): Promise<number> {
  const drain = orderOf(context.settings.values.for, hostname());
  return orderOverride(context, named(context), {
    change: ({ target, before }) => withDrain(target, before, drain),
    shows: ({ state }) => state === "draining",
    done: drain.until === undefined ? "draining" : `draining until ${drain.until}`,
  });
}

/** `portolan undrain`: ends what `drain` began. */
export function runUndrain(context: Context): Promise<number> {
  let stillDrains = false;
  return orderOverride(context, named(context), {
    change({ target, before, all, instances }) {
      const byNode = target.id !== undefined && all.get(`node:${target.node}`)?.drain !== undefined;
      if (byNode) {
        const way = `\`portolan undrain --node ${target.node}\` ends that`;
        throw new PortolanError("FAILED", `${target.id} drains with its whole node; ${way}`);
      }
      // What drains for another reason goes on.
      const others = new Set([...all.values()].flatMap(({ target, drain }) => (drain ? target.id : [])));
      stillDrains =
        before?.drain === undefined ||
        (target.id === undefined && instances.some(({ id }) => others.has(id)));
      return before && withoutDrain(before);
    },
    shows: ({ state }) => stillDrains || state !== "draining",
    done: "no longer drained",
  });
}

/** An id, or `--node` on the command line: a node of the configuration is this host's name, and no order. */
function named({ command, settings }: Context): { readonly id: string } | { readonly node: string } {
  const [id] = settings.names;
  const node = settings.origins.node === "flag" ? settings.values.node : undefined;
  if (id !== undefined && node === undefined) return { id };
  if (id === undefined && node !== undefined) return { node };
  throw new PortolanError(
    "USAGE",
    `${command} needs either an instance's id or --node NAME; \`portolan services\` shows both`,
  );
}
