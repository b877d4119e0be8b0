import { encodeSegment } from "../instance.ts";
import type { Environment } from "../run-command.ts";
import type { InstallRequest } from "./install-request.ts";
import type { Target } from "./target.ts";

/** What a check, a reload or a verification is told about the change. */
export function commandEnvironment(
  { env, revision, changed }: Pick<InstallRequest, "env" | "revision" | "changed">,
  target: Pick<Target, "source" | "destination">,
): Environment {
  return {
    ...env,
    PORTOLAN_CHANGED: nameList(changed),
    PORTOLAN_REVISION: String(revision),
    PORTOLAN_SOURCE: target.source,
    PORTOLAN_DESTINATION: target.destination,
  };
}

/**
 * Each name is written as in a key: one with a comma is no two, and the kernel takes none with a zero byte, nor a
 * variable beyond 128 KiB: a longer list is cut after a whole name and ends with `...`.
 */
function nameList(names: readonly string[]): string {
  const list = names.map(encodeSegment).join(",");
  const most = 100_000;
  if (Buffer.byteLength(list) <= most) return list;
  const cut = Buffer.from(list).subarray(0, most);
  return `${cut.subarray(0, cut.lastIndexOf(",") + 1).toString()}...`;
}
