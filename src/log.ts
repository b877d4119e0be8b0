/** Facts to log beside a message; `err` is an error. */
export type Fields = Readonly<Record<string, unknown>>;

/** Structured logging: fields first, one line per change, nothing when nothing changed. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}
