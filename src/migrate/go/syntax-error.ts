/** A Go template that Go could not read either. */
export class GoSyntaxError extends Error {
  /** From 1. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.name = "GoSyntaxError";
    this.line = line;
  }
}
