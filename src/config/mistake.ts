import { type ErrorCode, PortolanError } from "../errors.ts";

/** One thing that is wrong with a command line, the environment or the config file. */
export interface Mistake {
  readonly code: ErrorCode;
  readonly text: string;
}

/** Thrown when there are mistakes: all of them, for one look. */
export class MistakesError extends PortolanError {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes[0]?.code ?? "USAGE", mistakes.map(({ text }) => text).join("\n"));
    this.name = "MistakesError";
    this.mistakes = mistakes;
  }
}
