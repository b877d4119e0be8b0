import type { ShownEntry } from "../daemon-status.ts";
import type { Pieces } from "../status/pieces.ts";
import { type Child, h } from "./element.ts";
import { badge, fold, title } from "./parts.ts";
import { diffs, verdictMood } from "./targets.ts";
import { ago, duration, secondsBetween } from "./words.ts";

/** The journal as a timeline, the newest first. */
export function journal({ journal: entries, process }: Partial<Pieces>): readonly Child[] {
  if (entries === undefined) return [];
  const now = process?.now ?? "";
  return [
    title("journal", "Journal", "every change and what became of it"),
    entries.length === 0 && h("p", { class: "empty" }, "Nothing has been done yet."),
    h(
      "ol",
      { class: "timeline" },
      entries.map((entry) => line(entry, now)),
    ),
  ];
}

function line(entry: ShownEntry, now: string): HTMLElement {
  const { number, at, targets, cause, verdict, by, why, tookMs, files } = entry;
  const mood = verdictMood[verdict] ?? "calm";
  const took = Object.values(tookMs).reduce((sum, ms) => sum + ms, 0);
  const word = by === undefined || by === "reload" ? verdict : `${verdict} by ${by}`;
  const summary = [
    badge(word, mood),
    h("span", { class: "cause" }, cause.join(", ")),
    h("span", { class: "soft" }, targets.join(", ")),
    h(
      "span",
      { class: "when soft" },
      took > 0 && `${duration(took)} · `,
      h("time", { datetime: at, title: at }, ago(secondsBetween(at, now))),
    ),
  ];
  const inside = () => [
    why !== undefined && h("pre", { class: `why ${mood}`, tabindex: 0 }, why),
    files.length > 0 && diffs(entry),
  ];
  const hasMore = why !== undefined || files.length > 0;
  return h(
    "li",
    { key: number, class: mood },
    hasMore ? fold(`entry ${number}`, false, summary, inside) : h("div", { class: "plain" }, summary),
  );
}
