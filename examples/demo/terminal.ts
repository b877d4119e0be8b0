// What the demo prints: plain lines on standard output, coloured on a terminal only.
import { styleText } from "node:util";

const { stdout, env } = process;
const isTerminal = stdout.isTTY === true && env.TERM !== "dumb";
const isColoured = isTerminal && !env.NO_COLOR;

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
 * `outcome`. The label stands there from the beginning; on a terminal the seconds go on beside it.
 */
export async function step<T>(
  label: string,
  work: () => Promise<T>,
  outcome: (result: T) => string = () => "",
): Promise<T> {
  const start = performance.now();
  const head = `  ${`${label} `.padEnd(labelWidth, ".")} `;
  const took = (digits: number) => `${((performance.now() - start) / 1000).toFixed(digits)} s`.padStart(6);
  stdout.write(head);
  isOpen = true;
  const ticks = setInterval(() => {
    if (isTerminal && isOpen) stdout.write(`\r${head}${took(0)}`);
  }, 1_000);
  try {
    const result = await work();
    const again = isTerminal && isOpen ? `\r${head}` : "";
    isOpen = false;
    stdout.write(`${again}${took(1)}  ${dim(outcome(result))}\n`);
    return result;
  } finally {
    clearInterval(ticks);
  }
}
