import type { Entry } from "../templater/journal.ts";

/** The journal for people: a line for each entry, why it was rejected or held, and the diffs if they are wanted. */
export function journalText(entries: readonly Entry[], withDiffs: boolean): string {
  return entries.map((entry) => `${visible(linesOf(entry, withDiffs).join("\n"))}\n`).join("");
}

function linesOf(entry: Entry, withDiffs: boolean): readonly string[] {
  const { number, at, verdict, by, why, targets, cause, files, refused = [], tookMs } = entry;
  const took = Object.entries(tookMs).map(([step, ms]) => `${step} ${Math.round(ms)} ms`);
  const head = [
    `${number}`,
    at.replace(/\.\d+Z$/, "Z"),
    by === undefined ? verdict : `${verdict} by ${by}`,
    targets.join(", "),
    `for ${cause.join(", ")}`,
    ...(took.length > 0 ? [`in ${took.join(", ")}`] : []),
  ].join("  ");
  const reason = why === undefined ? [] : why.split("\n").map((line) => `    ${line}`);
  if (!withDiffs) return [head, ...reason];
  const diffs = [...files, ...refused].map(({ destination, diff }) =>
    (diff ?? `${destination}: the files are too different for a diff`).trimEnd(),
  );
  return [head, ...reason, ...diffs];
}

/** Control characters in files and outputs are made visible: they may come from anybody. */
function visible(text: string): string {
  return text.replace(
    /[\0-\x08\x0b-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
