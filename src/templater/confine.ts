import { lstat, readlink, realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { PortolanError } from "../errors.ts";
import { destinationError } from "./destination.ts";
import type { Target } from "./target.ts";

/** What is asked of a destination. */
type Confined = Pick<Target, "destination" | "roots">;

/** Whether a path is one of these folders or below one. */
export function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`));
}

/**
 * Makes sure that a file may be written where it lies: below one of the target's roots, where there are any, whatever
 * its links are; else only through links that root or this user has made. A link of somebody else in a folder of
 * theirs would let them choose which file this process overwrites, with words that may be theirs as well.
 *
 * `path` is where the destination leads. Rejects with DESTINATION.
 */
export async function confine({ destination, roots }: Confined, path: string): Promise<void> {
  try {
    const real = join(await realpath(dirname(path)), basename(path));
    if (roots) return await assertBelow(destination, real, roots);
    if (real === destination) return;
    for (const link of await linksOf(destination)) {
      if (link.uid === 0 || link.uid === process.getuid?.()) continue;
      const whose = `${link.path} on its way is a link of user ${link.uid}`;
      const wayOut = `name the folder ${dirname(real)}, or list it in destinationRoots`;
      throw new PortolanError("DESTINATION", `${destination} was not written: ${whose}; ${wayOut}`);
    }
  } catch (error) {
    throw destinationError(destination, error, path);
  }
}

async function assertBelow(destination: string, real: string, roots: readonly string[]): Promise<void> {
  const there = await Promise.all(roots.map((root) => realpath(root).catch(() => root)));
  if (isBelow(real, there)) return;
  const why = `it leads to ${real}, which is below none of ${roots.join(", ")}`;
  throw new PortolanError(
    "DESTINATION",
    `${destination} was not written: ${why}; correct the link, or add ${dirname(real)} to destinationRoots`,
  );
}

/** All symbolic links that are followed on the way to a file, which need not be there. */
async function linksOf(path: string, most = 40): Promise<readonly { path: string; uid: number }[]> {
  const links: { path: string; uid: number }[] = [];
  let steps = path.split("/");
  let at = "/";
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const next = join(at, step);
    const found = await lstat(next).catch(() => undefined);
    if (!found?.isSymbolicLink() || links.length === most) {
      at = next;
      continue;
    }
    links.push({ path: next, uid: found.uid });
    const to = await readlink(next);
    if (isAbsolute(to)) at = "/";
    steps = [...to.split("/"), ...steps];
  }
  return links;
}
