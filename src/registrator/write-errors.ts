import { type ErrorCode, PortolanError } from "../errors.ts";

/** Answers of a backend that works. After any other one a write may or may not have happened. */
const refusals: readonly ErrorCode[] = ["NOT_OWNER", "RECORD", "BACKEND_DENIED"];
/** The lease is not ours, or not any more. */
const losses: readonly ErrorCode[] = ["LEASE_LOST", "SUPERSEDED", "NODE_TAKEN"];

/** The code of an error; FAILED for one that has none. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof PortolanError ? error.code : "FAILED";
}

/** True where the backend refused a write, which has then not happened, and may be refused for ever. */
export function isRefusal(error: unknown): boolean {
  return refusals.includes(codeOf(error));
}

/** True where the lease has to be renewed before anything else. */
export function isLoss(error: unknown): boolean {
  return losses.includes(codeOf(error));
}

/** Of several errors the one to report: one that asks for a new lease explains the others. */
export function worst(errors: readonly unknown[]): unknown {
  return errors.find(isLoss) ?? errors[0];
}
