import type { Pieces } from "../status/pieces.ts";
import { type Child, h, s } from "./element.ts";
import { title } from "./parts.ts";
import { age, count, duration, secondsBetween } from "./words.ts";

/** A point in a plot. */
interface Point {
  /** Seconds before now. */
  readonly before: number;
  readonly ms: number;
  readonly where: string;
}

const high = 150;
const edge = { left: 52, right: 12, top: 12, bottom: 24 };

/** Spans that a plot may show, in seconds. */
const spans = [60, 300, 900, 3600, 14_400, 86_400];

/** The marks on the axis of durations, in ms. */
const marks = [1, 10, 100, 1000, 10_000, 60_000];

/** Latencies and reloads over time. */
export function plots({ recent = [], process, targets }: Partial<Pieces>, width: number): readonly Child[] {
  const now = process?.now ?? "";
  const kind = targets === undefined ? "registered" : "applied";
  const before = (at: string) => Math.max(0, secondsBetween(at, now));
  const points = recent.flatMap(({ at, ms, where, kind: of }) =>
    of === kind && ms !== undefined ? [{ before: before(at), ms, where }] : [],
  );
  const reloads = recent.flatMap(({ at, kind: of, result = "" }) =>
    of === "reload" ? [{ before: before(at), result }] : [],
  );
  const oldest = Math.max(
    0,
    ...points.map((point) => point.before),
    ...reloads.map((reload) => reload.before),
  );
  const span = spans.find((each) => each >= oldest) ?? oldest;
  const wide = width > 760 && targets !== undefined ? (width - 24) / 2 : width;
  const what =
    kind === "applied" ? "From a change to its being applied" : "From a change to its registration";
  return [
    title("plots", "Speed", `the last ${age(span)}`),
    h(
      "div",
      { class: "plots" },
      h("figure", {}, h("figcaption", {}, what), latencies(points, span, wide)),
      targets !== undefined && h("figure", {}, h("figcaption", {}, "Reloads"), bars(reloads, span, wide)),
    ),
  ];
}

function latencies(points: readonly Point[], span: number, width: number): Child {
  const top = Math.max(100, ...points.map(({ ms }) => ms)) * 1.3;
  const y = (ms: number) =>
    high - edge.bottom - (Math.log10(Math.max(1, ms)) / Math.log10(top)) * (high - edge.top - edge.bottom);
  const words =
    points.length === 0
      ? "Nothing has changed yet."
      : `${count(points.length, "change")}, the slowest in ${duration(Math.max(...points.map(({ ms }) => ms)))}.`;
  return s(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${high}`, width, height: high, role: "img", "aria-label": words },
    marks.filter((ms) => ms <= top).map((ms) => grid(`y ${ms}`, y(ms), width, duration(ms))),
    times(span, width),
    points.map(({ before, ms, where }, at) =>
      s(
        "circle",
        { key: at, class: "dot", cx: x(before, span, width), cy: y(ms), r: 3.5 },
        s("title", {}, `${where}: ${duration(ms)}, ${age(before)} ago`),
      ),
    ),
    points.length === 0 && s("text", { class: "none", x: width / 2, y: high / 2 }, words),
  );
}

/** Reloads in slices of time. */
function bars(
  reloads: readonly { readonly before: number; readonly result: string }[],
  span: number,
  width: number,
): Child {
  const slices = 30;
  const good = new Array<number>(slices).fill(0);
  const bad = new Array<number>(slices).fill(0);
  for (const { before, result } of reloads) {
    const at = Math.min(slices - 1, Math.floor(((span - before) / span) * slices));
    const list = result === "accepted" || result === "started" ? good : bad;
    list[at] = (list[at] ?? 0) + 1;
  }
  const top = Math.max(3, ...good.map((size, at) => size + (bad[at] ?? 0)));
  const tall = high - edge.top - edge.bottom;
  const step = (width - edge.left - edge.right) / slices;
  const bar = (kind: string, size: number, from: number, at: number) =>
    size > 0 &&
    s("rect", {
      key: `${kind} ${at}`,
      class: kind,
      x: edge.left + at * step + 1,
      width: Math.max(1, step - 2),
      y: high - edge.bottom - ((from + size) / top) * tall,
      height: (size / top) * tall,
      rx: 1,
    });
  const failed = bad.reduce((sum, size) => sum + size, 0);
  const words =
    reloads.length === 0
      ? "No reload yet."
      : `${count(reloads.length, "reload")}, ${failed} of them not accepted.`;
  return s(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${high}`, width, height: high, role: "img", "aria-label": words },
    [top, 0].map((size) => grid(`y ${size}`, high - edge.bottom - (size / top) * tall, width, String(size))),
    times(span, width),
    good.map((size, at) => [bar("good", size, 0, at), bar("bad", bad[at] ?? 0, size, at)]),
    reloads.length === 0 && s("text", { class: "none", x: width / 2, y: high / 2 }, words),
  );
}

function x(before: number, span: number, width: number): number {
  return width - edge.right - (before / span) * (width - edge.left - edge.right);
}

function grid(key: string, y: number, width: number, label: string): Child {
  return s(
    "g",
    { key, class: "grid" },
    s("line", { x1: edge.left, x2: width - edge.right, y1: y, y2: y }),
    s("text", { x: edge.left - 8, y: y + 4, "text-anchor": "end" }, label),
  );
}

function times(span: number, width: number): Child {
  return [span, span / 2, 0].map((before, at) =>
    s(
      "text",
      {
        key: `x ${at}`,
        class: "time",
        x: x(before, span, width),
        y: high - 6,
        "text-anchor": at === 0 ? "start" : at === 1 ? "middle" : "end",
      },
      before === 0 ? "now" : `−${age(before)}`,
    ),
  );
}
