import { hostname } from "node:os";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import { withTags } from "../override.ts";
import { whyNoTag } from "../registrator/rules/limits.ts";
import { shown } from "../registrator/rules/shown.ts";
import type { Context } from "./context.ts";
import { orderOf, orderOverride } from "./override-order.ts";

/** `portolan tag`: adds tags to a running instance and removes some. */
export async function runTag(context: Context): Promise<number> {
  const { settings } = context;
  const [id] = settings.names;
  const words = settings.commandLine;
  if (id === undefined || words.length === 0) {
    throw new PortolanError("USAGE", "tag needs an id and tags: portolan tag host1:db-1:6379 +master -slave");
  }
  const tagsAfter = (sign: string) =>
    words.filter((word) => word.startsWith(sign)).map((word) => word.slice(1));
  const [added, removed] = [tagsAfter("+"), tagsAfter("-")];
  for (const tag of [...added, ...removed]) {
    const why = tag === "" ? "is empty" : whyNoTag(tag);
    if (why !== undefined) throw new PortolanError("USAGE", `the tag ${shown(tag)} ${why}`);
  }
  const both = added.find((tag) => removed.includes(tag));
  if (both !== undefined)
    throw new PortolanError("USAGE", `the tag ${shown(both)} is both added and removed`);
  if (added.includes("master") && added.includes("slave"))
    throw new PortolanError("USAGE", "an instance is not both master and slave; add one of them");

  const tags = { added, removed, ...orderOf(settings.values.for, hostname()) };
  return orderOverride(
    context,
    { id },
    {
      change({ target, before, instances, isWhole }) {
        if (!isWhole) {
          const why = "holds no tags in its layout; use the layout portolan, or the container's labels";
          throw new PortolanError("FAILED", `the backend ${why}`);
        }
        refuseJudged(instances, [...added, ...removed]);
        return withTags(target, before, tags);
      },
      shows: (instance) =>
        added.every((tag) => instance.tags.includes(tag)) &&
        !removed.some((tag) => instance.tags.includes(tag)),
      done: words.join(" "),
    },
  );
}

/** A role that a lock or the server itself decides is nobody's to set. */
function refuseJudged(instances: readonly Instance[], tags: readonly string[]): void {
  const judged = instances.find(({ claim }) => claim !== undefined);
  if (!judged || !tags.some((tag) => tag === "master" || tag === "slave")) return;
  throw new PortolanError(
    "FAILED",
    `the role of ${judged.id} is found by ${judged.claim?.by}, and no tag changes it; fail over at the server, or \`portolan drain\` it`,
  );
}
