// What the demo prints: plain lines on standard output, coloured on a terminal only.
import { styleText } from "node:util";

const { stdout, env } = process;
const isColoured = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";

const style = (format: Parameters<typeof styleText>[0]) => (text: string) =>
  isColoured && text !== "" ? styleText(format, text) : text;

export const bold = style("bold");
export const dim = style("dim");
export const green = style("green");
export const red = style("red");

// A reader that went away (`| head`) is no reason to leave containers behind.
stdout.on("error", () => {});

/** Columns of a step's label. */
const labelWidth = 38;
/** Whether the last line still waits for its end, because its step is under way. */
let isOpen = false;

/** Prints a line. */
export function line(text = ""): void {
  stdout.write(`${isOpen ? "\n" : ""}${text}\n`);
  isOpen = false;
}

/**
 * Does `work`, and shows on one line what is being done, how long it took, and what came of it in the words of
 * `outcome`. The label stands there from the beginning.
 */
export async function step<T>(
  label: string,
  work: () => Promise<T>,
  outcome: (result: T) => string = () => "",
): Promise<T> {
  const start = performance.now();
  stdout.write(`  ${`${label} `.padEnd(labelWidth, ".")} `);
  isOpen = true;
  const result = await work();
  isOpen = false;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  stdout.write(`${`${seconds} s`.padStart(6)}  ${dim(outcome(result))}\n`);
  return result;
}
