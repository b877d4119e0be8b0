import { type Child, h } from "./element.ts";

/** How something is: what colour it has, beside the word for it. */
export type Mood = "good" | "warn" | "bad" | "away" | "calm";

/** A word with its colour. */
export function badge(text: string, mood: Mood, title?: string): HTMLElement {
  return h("span", { class: `badge ${mood}`, title }, text);
}

/** The heading of a section, with what is to be said beside it. */
export function title(id: string, text: string, ...beside: readonly Child[]): HTMLElement {
  return h(
    "div",
    { class: "title" },
    h("h2", { id: `${id}-title` }, text),
    h("p", { class: "beside" }, beside),
  );
}

/** A unified diff, each line with its colour. */
export function diffView(text: string): HTMLElement {
  const lines = text.replace(/\n$/, "").split("\n");
  return h(
    "pre",
    { class: "diff", tabindex: 0 },
    lines.map((line) => h("span", { class: classOf(line) }, `${line}\n`)),
  );
}

function classOf(line: string): string {
  if (/^(---|\+\+\+) /.test(line)) return "file";
  if (line.startsWith("@@")) return "hunk";
  return line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : "same";
}

/** What people have opened and closed, by key. */
const touched = new Map<string, boolean>();

/** Calls `changed` whenever somebody opens or closes something. */
export function followFolds(changed: () => void): void {
  document.addEventListener("click", ({ target }) => {
    const summary = target instanceof Element ? target.closest("summary") : null;
    const details = summary?.parentElement;
    const key = details?.getAttribute("data-key");
    if (!(details instanceof HTMLDetailsElement) || !key) return;
    touched.set(key, !details.open);
    changed();
  });
}

/** What opens and closes: `inside` is made only while it is open. `isOpen` counts until somebody has touched it. */
export function fold(key: string, isOpen: boolean, summary: Child, inside: () => Child): HTMLElement {
  const open = touched.get(key) ?? isOpen;
  return h("details", { key, open, class: "fold" }, h("summary", {}, summary), open && inside());
}
