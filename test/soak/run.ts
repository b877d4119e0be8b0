// How a soak speaks and ends.

/** Writes a line to standard output. */
export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/**
 * Runs a soak, and ends the process with what it resolves with; with 1 and the reason where it rejects. At the exit
 * everything that was started is ended, also at SIGINT and SIGTERM.
 */
export async function runSoak(main: () => Promise<number>): Promise<never> {
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  try {
    process.exit(await main());
  } catch (error) {
    say(`soak: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(1);
  }
}
