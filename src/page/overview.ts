import type { Pieces } from "../status/pieces.ts";
import { type Child, h } from "./element.ts";
import type { Mood } from "./parts.ts";
import { age, count, duration } from "./words.ts";
import { hostsOf, type Service } from "./world.ts";

/** The numbers that tell at a glance how it is. */
export function overview(pieces: Partial<Pieces>, services: readonly Service[]): readonly Child[] {
  const { targets, backends, docker, reading, recent = [], journal = [] } = pieces;
  const all = services.reduce((sum, service) => sum + service.count, 0);
  const ready = services.reduce((sum, service) => sum + service.ready, 0);
  const hosts = hostsOf(services).length;
  const inSync = (targets ?? []).filter(
    ({ reason, owed }) => reason === undefined && owed === undefined,
  ).length;
  const held = (backends ?? []).filter(({ joined, problem }) => joined && problem === undefined).length;
  const stale = Math.max(
    ...[
      docker?.staleSeconds,
      reading?.staleSeconds,
      ...(backends ?? []).map(({ staleSeconds }) => staleSeconds),
    ].map((seconds) => seconds ?? 0),
  );
  const latencies = recent.flatMap(({ kind, ms }) =>
    ms !== undefined && kind === (targets ? "applied" : "registered") ? [ms] : [],
  );
  const rejected = journal[0]?.verdict === "rejected";
  return [
    h(
      "dl",
      { class: "cards" },
      card("Instances ready", `${ready}`, `of ${count(all, "instance")}`, ready === all ? "good" : "warn"),
      card("Services", `${services.length}`, `on ${count(hosts, "host")}`, "calm"),
      targets &&
        card(
          "Targets in sync",
          `${inSync}`,
          rejected ? "the last change was rejected" : `of ${count(targets.length, "target")}`,
          inSync === targets.length ? "good" : "bad",
        ),
      backends &&
        card(
          "Sessions held",
          `${held}`,
          `of ${count(backends.length, "backend")}`,
          held === backends.length ? "good" : "bad",
        ),
      card(
        "Staleness",
        stale === 0 ? "none" : age(stale),
        stale === 0 ? "all is as it is known" : "what is known may be old",
        stale === 0 ? "good" : "warn",
      ),
      card(
        targets ? "Change to applied" : "Change to registered",
        latencies.length > 0 ? duration(middle(latencies)) : "–",
        latencies.length > 0 ? `median of the last ${latencies.length}` : "nothing has changed yet",
        "calm",
      ),
    ),
  ];
}

function card(name: string, value: string, beside: string, mood: Mood): HTMLElement {
  return h(
    "div",
    { key: name, class: `card ${mood}` },
    h("dt", {}, name),
    h("dd", {}, h("b", {}, value), h("span", {}, beside)),
  );
}

function middle(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
