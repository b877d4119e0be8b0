import type { ShownInstance } from "../daemon-status.ts";
import type { Pieces } from "../status/pieces.ts";
import { type Child, s } from "./element.ts";
import { type Mood, title } from "./parts.ts";
import { moodOf } from "./services.ts";
import { count, head, tail } from "./words.ts";
import { inOrder, type Service } from "./world.ts";

/** A box of the picture. */
interface Box {
  readonly key: string;
  readonly label: string;
  readonly beside: string;
  readonly mood: Mood;
}

/** Two boxes that hang together, and how much of one is in the other. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly size: number;
  readonly mood: Mood;
}

/** Boxes of a column: more would be no picture. */
const most = 12;
const high = 40;
const gap = 12;
const above = 24;

/** The way from containers over services to targets, or to the backends where no target is known. */
export function flow(pieces: Partial<Pieces>, services: readonly Service[], width: number): readonly Child[] {
  if (services.length === 0) return [];
  const shown = [...services].sort((a, b) => b.count - a.count).slice(0, most);
  const visible = services.filter((service) => shown.includes(service));
  const left = services.length - shown.length;
  const middle: readonly Box[] = [
    ...visible.map(({ name, ready, count: size }) => ({
      key: `s ${name}`,
      label: name,
      beside: `${ready} of ${size} ready`,
      mood: moodOfCounts(ready, size),
    })),
    ...(left > 0
      ? [{ key: "s", label: `${left} more`, beside: count(left, "service"), mood: "calm" as const }]
      : []),
  ];
  const [first, firstEdges, firstName] = sources(visible);
  const [last, lastEdges, lastName] = sinks(pieces, visible, left > 0);
  const columns = [first, middle, last];
  const names = [firstName, "Services", lastName];
  const height = above + Math.max(...columns.map(({ length }) => length)) * (high + gap);
  const wide = Math.min(260, (width - 2 * 36) / 3);
  const place = placed(columns, width, height, wide);
  const words = `${count(first.length, "source")} in ${firstName}, ${count(services.length, "service")}, ${count(last.length, "sink")} in ${lastName}: the tables below say the same.`;
  return [
    title("flow", "Flow", `${firstName.toLowerCase()} → services → ${lastName.toLowerCase()}`),
    s(
      "svg",
      { class: "flow", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words },
      names.map((name, at) =>
        s("text", { key: name, class: "column", x: leftOf(at, width, wide), y: 12 }, name),
      ),
      [...firstEdges, ...lastEdges].map((edge) => curve(edge, place, wide)),
      columns.flatMap((boxes) => boxes.map((box) => drawn(box, place, wide))),
    ),
  ];
}

/** Containers where they are few, else hosts. */
function sources(services: readonly Service[]): readonly [readonly Box[], readonly Edge[], string] {
  const all = services.flatMap(({ instances }) => instances);
  const containers = new Set(all.map(nameOf));
  const isFew = containers.size <= most;
  const of = isFew ? nameOf : ({ node }: ShownInstance) => node;
  const groups = new Map<string, ShownInstance[]>();
  for (const one of all) groups.set(of(one), [...(groups.get(of(one)) ?? []), one]);
  const named = [...groups].sort(([a], [b]) => inOrder.compare(a, b));
  const boxes = named.slice(0, most).map(([name, list]): Box => {
    const ready = list.filter(({ state }) => state === "ready").length;
    const [one] = list;
    return isFew && one && list.length === 1
      ? { key: `c ${name}`, label: name, beside: `${one.node} · ${one.state}`, mood: moodOf[one.state] }
      : {
          ...{ key: `c ${name}`, label: name, beside: `${ready} of ${list.length} ready` },
          mood: moodOfCounts(ready, list.length),
        };
  });
  const more = named.length - boxes.length;
  if (more > 0) boxes.push({ key: "c", label: `${more} more`, beside: count(more, "host"), mood: "calm" });
  const shown = new Set(boxes.map(({ key }) => key));
  const edges = services.flatMap(({ name, instances }) => {
    const sizes = new Map<string, number>();
    for (const one of instances) {
      const key = shown.has(`c ${of(one)}`) ? `c ${of(one)}` : "c";
      sizes.set(key, (sizes.get(key) ?? 0) + 1);
    }
    return [...sizes].map(([from, size]): Edge => ({ from, to: `s ${name}`, size, mood: "good" }));
  });
  return [boxes, edges, isFew ? "Containers" : "Hosts"];
}

function sinks(
  { targets, backends = [] }: Partial<Pieces>,
  services: readonly Service[],
  hasMore: boolean,
): readonly [readonly Box[], readonly Edge[], string] {
  const keys = [...services.map(({ name }) => name), ...(hasMore ? [""] : [])];
  const isHidden = (name: string) => !keys.includes(name);
  const from = (name: string) => (name === "" ? "s" : `s ${name}`);
  if (targets === undefined) {
    const boxes = backends.map(
      ({ backend, joined, problem, held }): Box => ({
        key: `b ${backend}`,
        label: backend,
        beside: joined ? count(held, "record") : "no session",
        mood: joined && problem === undefined ? "good" : "bad",
      }),
    );
    const edges = boxes.flatMap(({ key, mood }) =>
      keys.map((name): Edge => ({ from: from(name), to: key, size: 1, mood })),
    );
    return [boxes, edges, "Backends"];
  }
  const boxes = targets.slice(0, most).map(
    ({ destination, reason, owed }): Box => ({
      key: `t ${destination}`,
      label: destination,
      beside: reason !== undefined ? "not in sync" : owed !== undefined ? "owed to the proxy" : "in sync",
      mood: reason !== undefined ? "bad" : owed !== undefined ? "warn" : "good",
    }),
  );
  const edges = targets.slice(0, most).flatMap(({ destination, reads, reason }) =>
    keys
      .filter(
        (name) => reads.all || (name === "" ? reads.services.some(isHidden) : reads.services.includes(name)),
      )
      .map(
        (name): Edge => ({
          from: from(name),
          to: `t ${destination}`,
          size: 1,
          mood: reason === undefined ? "good" : "bad",
        }),
      ),
  );
  return [boxes, edges, "Targets"];
}

const nameOf = ({ container, id }: ShownInstance) => container?.name ?? id;

function moodOfCounts(ready: number, size: number): Mood {
  return ready === size ? "good" : ready === 0 ? "bad" : "warn";
}

function leftOf(column: number, width: number, wide: number): number {
  return column * ((width - wide) / 2);
}

type Places = ReadonlyMap<string, { readonly x: number; readonly y: number }>;

function placed(columns: readonly (readonly Box[])[], width: number, height: number, wide: number): Places {
  const places = new Map<string, { x: number; y: number }>();
  for (const [column, boxes] of columns.entries()) {
    const free = height - above - boxes.length * (high + gap);
    for (const [at, { key }] of boxes.entries())
      places.set(key, { x: leftOf(column, width, wide), y: above + free / 2 + at * (high + gap) });
  }
  return places;
}

function curve({ from, to, size, mood }: Edge, places: Places, wide: number): Child {
  const a = places.get(from);
  const b = places.get(to);
  if (!a || !b) return undefined;
  const [x1, y1, x2, y2] = [a.x + wide, a.y + high / 2, b.x, b.y + high / 2];
  const bend = (x2 - x1) / 2;
  const path = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  return s("path", {
    key: `${from} → ${to}`,
    class: `edge ${mood}`,
    d: path,
    "stroke-width": Math.min(6, 1 + Math.log2(size + 1) / 2),
  });
}

function drawn({ key, label, beside, mood }: Box, places: Places, wide: number): Child {
  const { x = 0, y = 0 } = places.get(key) ?? {};
  const letters = Math.floor((wide - 22) / 8);
  const text = label.startsWith("/") ? tail(label, letters) : head(label, letters);
  return s(
    "g",
    { key, class: `box ${mood}`, transform: `translate(${x} ${y})` },
    s("title", {}, `${label}: ${beside}`),
    s("rect", { class: "body", width: wide, height: high, rx: 6 }),
    s("rect", { class: "mark", width: 3, height: high - 16, x: 7, y: 8, rx: 1.5 }),
    s("text", { class: "label", x: 18, y: 17 }, text),
    s("text", { class: "beside", x: 18, y: 31 }, head(beside, letters + 3)),
  );
}
