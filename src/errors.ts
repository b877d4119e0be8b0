/**
 * Every error code that a person can meet, with its meaning. The code is API: scripts match on it, the
 * documentation lists it, and a test holds the two together.
 */
export const codes = {
  ABORTED: "the work was cancelled, because the process is ending or a newer pass replaced it",
  ADDRESS_IN_USE: "the address given with --listen is taken by another process",
  BACKEND_DENIED: "the backend refused the credentials or the right to do this",
  BACKEND_UNREACHABLE: "the backend did not answer in time, or the connection failed",
  BACKEND_URL: "a backend URL could not be understood",
  CHECK_FAILED: "the check command refused the rendered file; the live file is untouched",
  CONFIG: "the configuration file holds a mistake",
  CONTAINER_UNKNOWN: "no container of this Docker has the name or id that a command was given",
  DESTINATION: "the destination file could not be written",
  DOCKER_DENIED: "Docker refused the request",
  DOCKER_UNREACHABLE: "Docker did not answer in time, or the connection failed",
  FAILED: "something failed in a way that has no code of its own",
  HOST_ADDRESS: "the address under which this host's published ports are reached is not known",
  ID_TAKEN: "two containers claim one instance id; the later one is refused",
  LABEL: "a label or environment variable of a container has a value that cannot be used",
  LEASE_LOST: "the host's lease, session or heartbeat is gone and has to be taken anew",
  NODE_TAKEN: "another Docker holds a live lease under the same node name",
  NOT_OWNER: "the record belongs to another owner and was left alone",
  OVERRIDE: "a tag that an operator ordered cannot be put on the instance, or taken from it",
  RECORD: "a record in the backend is not a valid instance record",
  RELOAD_FAILED: "the proxy could not be told of its new file, or refused it; it is tried again",
  ROLE_UNKNOWN: "a server does not tell its role, or the election of a service fails",
  STATE_LOCKED: "another process uses the same state folder",
  SUPERSEDED: "a newer registrator of the same Docker has taken over the host's lease",
  TEMPLATE: "a template could not be compiled or rendered; the last good file stays",
  TEMPLATE_MISSING: "a template file does not exist or cannot be read",
  TWO_MASTERS: "several live instances of an elected or probed service claim to be its master",
  USAGE: "the command line could not be understood",
  VALUE_REFUSED: "a value holds characters that the format of the file does not admit",
} as const;

/** One of the documented error codes. */
export type ErrorCode = keyof typeof codes;

/** An error with a documented code. Its message names the thing, the place and the way out. */
export class PortolanError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "PortolanError";
    this.code = code;
  }
}

/** The same error when it has a code already, else one with `code` and the original as its cause. */
export function coded(code: ErrorCode, error: unknown, prefix = ""): PortolanError {
  if (error instanceof PortolanError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PortolanError(code, `${prefix}${message}`, { cause: error });
}
