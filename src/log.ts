import { pino } from "pino";
import { prettyLine } from "./log-pretty.ts";

/** Facts to log beside a message; `err` is an error. */
export type Fields = Readonly<Record<string, unknown>>;

/** Structured logging: fields first, one line per change, nothing when nothing changed. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}

/** How a log is written. */
export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  /** `json`: one object a line; `pretty`: for people. */
  readonly format: "json" | "pretty";
  /** Colours the level; only for `pretty` on a terminal. */
  readonly colour: boolean;
}

/** A log on standard error, so that standard output stays for results. A reader that is gone is no error. */
export function createLog({ level, format, colour }: LogOptions): Log {
  const stderr = pino.destination({ dest: 2, sync: true });
  stderr.on("error", () => {});
  const pretty = { write: (line: string) => void stderr.write(prettyLine(line, colour)) };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describe(error, level === "debug") },
    },
    format === "pretty" ? pretty : stderr,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

/** An error as facts. Its properties are left out: clients hang requests on them, credentials included. */
function describe(error: unknown, withStack: boolean): Fields {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as { code?: unknown };
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  return {
    ...(typeof code === "string" && { code }),
    message: error.message,
    ...(cause && !error.message.includes(cause) && { cause }),
    ...(withStack && { stack: error.stack }),
  };
}
