/** Lines of context around a change, and how far to cut: as `diff -u` has it. */
const context = 3;

/** More single changes than this are no diff that anybody reads, and would take long to find. */
const mostEdits = 1_000;

/** The longest diff that is kept, in characters. */
const longest = 16 * 1024;

/**
 * What has changed in a file, as a unified diff; undefined when that is too much to be of use. `before` and
 * `after` are undefined where there is no file. It is fast where little has changed, however long the file is.
 */
export async function changedLines(
  destination: string,
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
): Promise<string | undefined> {
  // Loaded late: most of the time nothing changes.
  const { FILE_HEADERS_ONLY, formatPatch, structuredPatch } = await import("diff");
  const old = before === undefined ? "" : Buffer.from(before).toString();
  const next = after === undefined ? "" : Buffer.from(after).toString();
  const { from, oldEnd, nextEnd } = changedRange(old, next);
  const skipped = old.slice(0, from).split("\n").length - 1;
  const name = before === undefined ? "/dev/null" : destination;
  const [left, right] = [old.slice(from, oldEnd), next.slice(from, nextEnd)];
  const options = { context, maxEditLength: mostEdits };
  const newName = after === undefined ? "/dev/null" : destination;
  const patch = structuredPatch(name, newName, left, right, "before", "after", options);
  if (patch === undefined) return undefined;
  const hunks = patch.hunks.map((hunk) => ({
    ...hunk,
    oldStart: hunk.oldStart + skipped,
    newStart: hunk.newStart + skipped,
  }));
  const text = formatPatch({ ...patch, hunks }, FILE_HEADERS_ONLY);
  return text.length > longest ? undefined : text;
}

/** Where two texts differ, in whole lines with their context. */
function changedRange(old: string, next: string) {
  const shorter = Math.min(old.length, next.length);
  let from = 0;
  while (from < shorter && old.charCodeAt(from) === next.charCodeAt(from)) from += 1;
  let same = 0;
  while (
    same < shorter - from &&
    old.charCodeAt(old.length - 1 - same) === next.charCodeAt(next.length - 1 - same)
  )
    same += 1;
  for (let lines = 0; lines <= context && from > 0; lines++) from = old.lastIndexOf("\n", from - 2) + 1;
  let oldEnd = old.length - same;
  for (let lines = 0; lines <= context && oldEnd < old.length; lines++) {
    const end = old.indexOf("\n", oldEnd);
    oldEnd = end < 0 ? old.length : end + 1;
  }
  return { from, oldEnd, nextEnd: oldEnd + next.length - old.length };
}
