import type { Pieces } from "../status/pieces.ts";
import { type Child, h, s } from "./element.ts";
import { badge } from "./parts.ts";
import { age } from "./words.ts";

/** How the page is connected to its process. */
export interface Link {
  readonly isUp: boolean;
  /** Seconds since the last message. */
  readonly silent: number;
}

/** The line at the top: which process, and whether it is in sync. */
export function top({ process, docker, reading }: Partial<Pieces>, link: Link): readonly Child[] {
  return [
    h(
      "div",
      { class: "brand" },
      h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }),
      h("h1", {}, "Portolan ", h("span", { class: "soft" }, process?.command ?? "")),
    ),
    h(
      "p",
      { class: "where" },
      docker?.node && h("span", {}, docker.node),
      reading && h("span", { class: "mono soft" }, reading.backend),
    ),
    h("div", { class: "sync" }, syncBadge(process, link)),
  ];
}

/** The state of all in one word; the same for those who hear it. */
export function syncWord(process: Pieces["process"] | undefined, link: Link): string {
  if (!link.isUp) return "Disconnected";
  if (process === undefined) return "Connecting";
  return process.notReady.length === 0 ? "In sync" : "Not in sync";
}

function syncBadge(process: Pieces["process"] | undefined, link: Link): Child {
  const word = syncWord(process, link);
  const mood = word === "In sync" ? "good" : word === "Not in sync" ? "bad" : "away";
  return badge(word, mood);
}

/** What stands against being in sync, and what is shown while nothing is heard. */
export function problems({ process }: Partial<Pieces>, link: Link): readonly Child[] {
  const away =
    !link.isUp &&
    `Nothing was heard from this process for ${age(link.silent)}. What is below is what it said last.`;
  const reasons = process?.notReady ?? [];
  return [
    away && h("div", { key: "away", class: "note away" }, away),
    reasons.length > 0 &&
      h(
        "div",
        { key: "reasons", class: "note bad" },
        h("strong", {}, "Not in sync"),
        h(
          "ul",
          {},
          reasons.map((reason) => h("li", { key: reason }, reason)),
        ),
      ),
  ];
}

/** The line at the bottom. */
export function bottom({ process }: Partial<Pieces>, { isUp }: Link): readonly Child[] {
  if (process === undefined) return [];
  return [
    h("span", {}, `Portolan ${process.version}`),
    h("span", {}, `pid ${process.pid}`),
    h("span", {}, `up ${age(process.uptimeSeconds)}`),
    h("a", { href: "status" }, "JSON"),
    h("a", { href: "metrics" }, "Metrics"),
    h(
      "span",
      { class: "live" },
      s(
        "svg",
        { viewBox: "0 0 8 8", width: 8, height: 8, "aria-hidden": "true" },
        s("circle", { cx: 4, cy: 4, r: 3 }),
      ),
      isUp ? "read-only, live" : "read-only",
    ),
  ];
}
