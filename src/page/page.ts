import type { Pieces } from "../status/pieces.ts";
import { beforeFrame, every, monotonic } from "./clock.ts";
import { type Child, h } from "./element.ts";
import { flow } from "./flow.ts";
import { journal } from "./journal.ts";
import { overview } from "./overview.ts";
import { followFolds } from "./parts.ts";
import { patch } from "./patch.ts";
import { plots } from "./plots.ts";
import { remarks, services } from "./services.ts";
import { sessions } from "./sessions.ts";
import { targets } from "./targets.ts";
import { bottom, type Link, problems, syncWord, top } from "./top.ts";
import { servicesOf } from "./world.ts";

/** ms without a message after which the process counts as away: it tells the time each second. */
const patience = 4_000;

let pieces: Partial<Pieces> = {};
let heardAt = monotonic();
let sought = "";

const place = (id: string) => document.getElementById(id) ?? document.body;

/** Shows everything as it is now. */
function show(): void {
  const silent = monotonic() - heardAt;
  const link: Link = { isUp: silent < patience, silent: silent / 1000 };
  const all = servicesOf(pieces);
  const width = Math.max(300, place("main").clientWidth - 2);
  const inner = width - (width < 600 ? 26 : 42);
  put("top", top(pieces, link));
  put("problems", problems(pieces, link));
  if (pieces.process !== undefined) {
    put("overview", overview(pieces, all));
    put("flow", flow(pieces, all, inner));
    put("services", services(pieces, all, sought));
    put("remarks", remarks(pieces));
    put("targets", targets(pieces));
    put("sessions", sessions(pieces));
    put("plots", plots(pieces, inner));
    put("journal", journal(pieces));
  }
  put("bottom", bottom(pieces, link));
  const word = syncWord(pieces.process, link);
  if (place("said").textContent !== word) place("said").textContent = word;
  const { node } = pieces.docker ?? {};
  document.title = `${word} · Portolan ${pieces.process?.command ?? ""}${node ? ` on ${node}` : ""}`;
  document.body.classList.toggle("away", !link.isUp);
}

/** What a section shows; one with nothing to show is not there for anybody. */
function put(id: string, children: readonly Child[]): void {
  const section = place(id);
  const next = h("div", {}, ...children);
  section.hidden = next.childNodes.length === 0;
  patch(section, [...next.childNodes]);
}

const soon = beforeFrame(show);

document.addEventListener("input", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  sought = target.value;
  soon();
});
followFolds(soon);
addEventListener("resize", soon);

const events = new EventSource("events");
events.addEventListener("message", ({ data }) => {
  heardAt = monotonic();
  const news = JSON.parse(data) as Readonly<Record<string, unknown>>;
  // A piece that is gone is null.
  const next = Object.entries({ ...pieces, ...news }).filter(([, piece]) => piece !== null);
  pieces = Object.fromEntries(next) as Partial<Pieces>;
  soon();
});
every(1000, soon);
show();
