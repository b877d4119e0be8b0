import { type Stats, statsOf } from "./stats.ts";

/**
 * What was promised of the product's median: to be below so much in its unit, so much at most, or so many times the
 * floor's at most.
 */
export type Aim = { readonly below: number } | { readonly upTo: number } | { readonly ratio: number };

/** One measured thing, of the product and of its floor. */
export interface Result {
  readonly subject: string;
  /** E.g. `container started → record readable`. */
  readonly what: string;
  readonly unit: "ms" | "MB" | "KB" | "%" | "calls" | "/s";
  readonly product: Stats;
  /** Of no samples where there is nothing to compare with. */
  readonly floor: Stats;
  /** Of the medians. Undefined where the floor is too close to nothing to be divided by. */
  readonly ratio: number | undefined;
  /** Absent where nothing was promised. */
  readonly aim?: Aim | undefined;
}

/** Samples of the product and of the floor, taken in turn. */
export interface Samples {
  readonly product: number[];
  readonly floor: number[];
}

/** A result from its samples. */
export function resultOf(
  subject: string,
  what: string,
  unit: Result["unit"],
  samples: Samples,
  aim?: Aim,
): Result {
  const [product, floor] = [statsOf(samples.product), statsOf(samples.floor)];
  const ratio = floor.median >= 0.1 ? product.median / floor.median : undefined;
  return { subject, what, unit, product, floor, ratio, aim };
}

/** The aim of a result, and whether it was reached. */
function verdictOf({ aim, product, ratio }: Result): string {
  if (aim === undefined) return "";
  const [wanted, isReached] =
    "below" in aim
      ? [`below ${aim.below}`, product.median < aim.below]
      : "upTo" in aim
        ? [`up to ${aim.upTo}`, product.median <= aim.upTo]
        : [`ratio up to ${aim.ratio}`, (ratio ?? 0) <= aim.ratio];
  return `${wanted}: ${isReached ? "reached" : "MISSED"}`;
}

/** The results as aligned text. */
export function tableOf(results: readonly Result[]): string {
  const head = ["backend", "what", "n", "median", "p95", "floor", "p95", "ratio", "", "aim"];
  const rows = results.map((result) => {
    const { subject, what, unit, product, floor, ratio } = result;
    return [
      subject,
      what,
      String(product.n),
      number(product.median),
      number(product.p95),
      number(floor.median),
      number(floor.p95),
      ratio === undefined ? "-" : ratio.toFixed(2),
      unit,
      verdictOf(result),
    ];
  });
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isText = (column: number) => column < 2 || column >= head.length - 2;
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const number = (value: number) => (Number.isNaN(value) ? "-" : value.toFixed(value < 100 ? 2 : 0));
