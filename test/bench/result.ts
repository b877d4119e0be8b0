import { type Stats, statsOf } from "./stats.ts";

/** One measured thing, of the product and of its floor. */
export interface Result {
  readonly subject: string;
  /** E.g. `container started → record readable`. */
  readonly what: string;
  readonly unit: "ms" | "MB" | "%" | "calls";
  readonly product: Stats;
  readonly floor: Stats;
  /** Of the medians. Undefined where the floor is too close to nothing to be divided by. */
  readonly ratio: number | undefined;
}

/** Samples of the product and of the floor, taken in turn. */
export interface Samples {
  readonly product: number[];
  readonly floor: number[];
}

/** A result from its samples. */
export function resultOf(subject: string, what: string, unit: Result["unit"], samples: Samples): Result {
  const [product, floor] = [statsOf(samples.product), statsOf(samples.floor)];
  const ratio = floor.median < 0.1 ? undefined : product.median / floor.median;
  return { subject, what, unit, product, floor, ratio };
}

/** The results as aligned text. */
export function tableOf(results: readonly Result[]): string {
  const head = ["backend", "what", "n", "median", "p95", "floor", "p95", "ratio", ""];
  const rows = results.map(({ subject, what, unit, product, floor, ratio }) => [
    subject,
    what,
    String(product.n),
    number(product.median),
    number(product.p95),
    number(floor.median),
    number(floor.p95),
    ratio === undefined ? "-" : ratio.toFixed(2),
    unit,
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isText = (column: number) => column < 2 || column === head.length - 1;
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

const number = (value: number) => value.toFixed(value < 100 ? 2 : 0);
