import type { ShownEntry, TargetStatus } from "../daemon-status.ts";
import type { Pieces } from "../status/pieces.ts";
import { type Child, h } from "./element.ts";
import { badge, diffView, fold, type Mood, title } from "./parts.ts";
import { ago, count, duration, secondsBetween } from "./words.ts";

/** The mood of a verdict. */
export const verdictMood: Readonly<Record<string, Mood>> = {
  applied: "good",
  reloaded: "good",
  unchanged: "calm",
  owed: "warn",
  held: "warn",
  rejected: "bad",
};

/** Every target with its last render, check, reload and diff. */
export function targets({ targets: list, journal = [], process }: Partial<Pieces>): readonly Child[] {
  if (list === undefined) return [];
  return [
    title("targets", "Targets", count(list.length, "file")),
    h(
      "div",
      { class: "targets" },
      list.map((target) => card(target, journal, process?.now ?? "")),
    ),
  ];
}

function card(target: TargetStatus, journal: readonly ShownEntry[], now: string): HTMLElement {
  const {
    destination,
    source,
    reason,
    owed,
    reads,
    group,
    held = [],
    heldBack = [],
    refused,
    lastGoodOf,
  } = target;
  const own = journal.filter(({ targets }) => targets.includes(destination));
  const last = own[0];
  const done = own.find(({ verdict }) => verdict === "applied" || verdict === "reloaded");
  const shown = last?.verdict === "rejected" ? last : own.find(({ files }) => files.length > 0);
  const state: readonly [string, Mood] =
    last?.verdict === "rejected" && reason !== undefined
      ? ["rejected", "bad"]
      : reason !== undefined
        ? ["not in sync", "bad"]
        : owed !== undefined
          ? ["owed to the proxy", "warn"]
          : ["in sync", "good"];
  const services = reads.all ? "all services" : reads.services.join(", ") || "no service";
  return h(
    "article",
    { key: destination, class: "target" },
    h("header", {}, h("h3", { class: "mono" }, destination), badge(state[0], state[1])),
    h(
      "p",
      { class: "soft" },
      "from ",
      h("span", { class: "mono" }, source),
      group !== undefined && `, group ${group}`,
    ),
    h("p", { class: "soft" }, `reads ${services}`),
    steps(target, last, done, now),
    (reason ?? owed) !== undefined && h("pre", { class: `why ${state[1]}`, tabindex: 0 }, reason ?? owed),
    lastGoodOf !== undefined &&
      h(
        "p",
        { class: "note warn" },
        `The last good snapshot (${lastGoodOf}) counts until the backend is back.`,
      ),
    held.map(({ service, why, ids }) =>
      h("p", { class: "note warn" }, `${service} is held with ${count(ids.length, "instance")}: ${why}`),
    ),
    heldBack.map(({ service, why }) =>
      h("p", { class: "note warn" }, `${service} is held back as it was: ${why}`),
    ),
    refused.map(({ id, reason: why }) => h("p", { class: "note warn" }, `${id} is left out: ${why}`)),
    shown &&
      fold(`diff ${destination}`, shown.verdict === "rejected", diffTitle(shown, now), () => diffs(shown)),
  );
}

function steps(
  target: TargetStatus,
  last: ShownEntry | undefined,
  done: ShownEntry | undefined,
  now: string,
): HTMLElement {
  const { rendered, hasCheck, reload } = target;
  const isRejected = last?.verdict === "rejected";
  const isByCheck = isRejected && last?.why?.startsWith("CHECK_FAILED") === true;
  const isByReload = isRejected && last?.why?.startsWith("RELOAD_FAILED") === true;
  const when = done === undefined ? "not yet" : ago(secondsBetween(done.at, now));
  const took = (step: string) => (done?.tookMs[step] === undefined ? undefined : duration(done.tookMs[step]));
  return h(
    "ol",
    { class: "steps" },
    step(
      "Render",
      rendered ? "good" : "calm",
      rendered ? `${duration(rendered.tookMs)}, ${ago(rendered.secondsAgo)}` : "not yet",
    ),
    step(
      "Check",
      !hasCheck ? "calm" : isByCheck ? "bad" : done ? "good" : "calm",
      !hasCheck ? "none" : isByCheck ? "refused it" : (took("check") ?? (done ? "passed" : "not yet")),
    ),
    step(
      reload === "none" ? "Swap" : "Reload",
      isByReload ? "bad" : target.owed ? "warn" : done ? "good" : "calm",
      isByReload
        ? "refused it"
        : target.owed
          ? "still owed"
          : [
              done?.by === "runtime" ? "at runtime" : done?.by === "start" ? "by its start" : undefined,
              took("reload"),
              when,
            ]
              .filter(Boolean)
              .join(", "),
    ),
  );
}

function step(name: string, mood: Mood, text: string): HTMLElement {
  return h("li", { key: name, class: mood }, h("b", {}, name), h("span", {}, text));
}

function diffTitle({ verdict, at }: ShownEntry, now: string): Child {
  const what = verdict === "rejected" ? "What was rejected" : "The last change";
  return [h("span", {}, what), h("span", { class: "soft" }, ago(secondsBetween(at, now)))];
}

/** The diffs of an entry, or why there are none. */
export function diffs({ files, moreFiles }: ShownEntry): Child {
  const shown = files.map(({ destination, diff, withheld }) =>
    diff !== undefined
      ? diffView(diff)
      : h("p", { class: "empty" }, `${destination}: no diff here, ${withheld}`),
  );
  return [shown, moreFiles > 0 && h("p", { class: "empty" }, `${count(moreFiles, "more file")}`)];
}
