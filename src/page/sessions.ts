import type { Pieces } from "../status/pieces.ts";
import { type Child, h } from "./element.ts";
import { badge, type Mood, title } from "./parts.ts";
import { age, ago, count } from "./words.ts";

/** Docker and the backends: whether they are reached, and how old is what is known of them. */
export function sessions({
  docker,
  backends = [],
  reading,
  services = [],
}: Partial<Pieces>): readonly Child[] {
  const known = services.reduce((sum, { count: size }) => sum + size, 0);
  return [
    title("sessions", "Backends and staleness"),
    h(
      "div",
      { class: "sessions" },
      docker &&
        session("Docker", docker.url, docker.staleSeconds, docker.problem, [
          docker.apiVersion && `API ${docker.apiVersion}`,
        ]),
      backends.map(({ backend, joined, problem, ttl, renewedSeconds, staleSeconds, held }) =>
        session(backends.length > 0 && reading ? "Writes" : "Backend", backend, staleSeconds, problem, [
          joined ? "session held" : "no session",
          ttl === 0 ? "never expires" : ttl !== undefined && `TTL ${ttl} s`,
          ttl !== 0 && renewedSeconds !== undefined && `heartbeat ${ago(renewedSeconds)}`,
          count(held, "record"),
        ]),
      ),
      reading &&
        session("Reads", reading.backend, reading.staleSeconds, reading.problem, [
          count(known, "instance"),
          count(services.length, "service"),
        ]),
      reading?.unreadable.map(({ place, reason }) =>
        h("p", { key: place, class: "note warn" }, h("span", { class: "mono" }, place), `: ${reason}`),
      ),
    ),
  ];
}

function session(
  name: string,
  place: string,
  stale: number,
  problem: string | undefined,
  facts: readonly (string | undefined | false)[],
): HTMLElement {
  const [word, mood]: readonly [string, Mood] =
    stale > 0 || problem !== undefined
      ? [stale > 0 ? `stale for ${age(stale)}` : "trouble", problem === undefined ? "warn" : "bad"]
      : ["current", "good"];
  return h(
    "div",
    { key: `${name} ${place}`, class: `session ${mood}` },
    h(
      "div",
      { class: "line" },
      h("b", {}, name),
      h("span", { class: "mono place" }, place),
      badge(word, mood),
    ),
    h("p", { class: "soft" }, facts.filter(Boolean).join(" · ")),
    problem !== undefined && h("p", { class: "why bad" }, problem),
  );
}
