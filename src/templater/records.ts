import type { StateDir } from "../state-dir.ts";
import { type Accepted, openAccepted } from "./accepted.ts";
import { type Backups, openBackups } from "./backups.ts";
import { type Intents, openIntents } from "./intents.ts";
import { type Journal, openJournal } from "./journal.ts";
import { type Pin, readPin } from "./pins.ts";
import { openRejected, type Rejected } from "./rejected.ts";

/** What the state folder knows of all targets. */
export interface Records {
  readonly accepted: Accepted;
  readonly backups: Backups;
  readonly intents: Intents;
  readonly journal: Journal;
  readonly rejected: Rejected;
  /** The rollback that is in force for these destinations. Rejects with FAILED. */
  pin(targets: readonly string[]): Promise<Pin | undefined>;
}

/** Reads the records, and finishes what a process that died has left half done. Rejects with FAILED. */
export async function openRecords(state: StateDir): Promise<Records> {
  const intents = await openIntents(state);
  return {
    accepted: await openAccepted(state),
    backups: openBackups(state),
    intents,
    journal: await openJournal(state),
    rejected: await openRejected(state),
    pin: (targets) => readPin(state.path, targets),
  };
}
