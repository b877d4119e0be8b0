import {
  type Backend,
  type Lease,
  type LeaseOptions,
  type Owner,
  ownerText,
  type Renewal,
} from "../backends/backend.ts";
import { isLoss } from "./write-errors.ts";

/** The right of this host to write to one backend, under whichever owner it is at the time. */
export interface HostLease {
  /**
   * Takes the lease for this owner, or beats. Where the host had another Docker before, its records come along
   * without a gap; where it had another name, they are removed first, since under a new name all ids are others.
   * `fresh` too where another lease than before is held now.
   */
  renew(owner: Owner, signal: AbortSignal): Promise<Renewal>;
  /** The lease as this owner holds it; undefined where it has to be renewed first. */
  heldBy(owner: Owner): Lease | undefined;
  isHeld(): boolean;
  /** It has to be renewed before it is of use again. */
  lost(): void;
  /** Resolves when what the next process is to know is kept. Never rejects. */
  kept(): Promise<void>;
  /** Gives up all that is held. */
  release(signal: AbortSignal): Promise<void>;
}

/**
 * Who held this host's lease in this backend last, kept over the end of the process: Docker's id may change with an
 * upgrade that restarts the registrator too. Neither rejects.
 */
export interface OwnerMemory {
  read(): Promise<string | undefined>;
  write(owner: string): Promise<void>;
}

/** One owner's lease, and whether it was ever held. */
interface Owned {
  readonly owner: string;
  readonly node: string;
  readonly lease: Lease;
  taken: boolean;
}

/** The lease of a host in this backend; nothing is asked before the first `renew`. `ttl` in seconds. */
export function createHostLease(
  backend: Backend,
  ttl: number,
  options: LeaseOptions,
  memory?: OwnerMemory,
): HostLease {
  let now: Owned | undefined;
  /** Of the Docker of before, as long as it may hold records that have no heir yet. */
  let former: Owned | undefined;
  let held = false;
  /** The one that was held last. */
  let last: Owned | undefined;
  /** What the memory holds; undefined before it was asked. */
  let remembered: { owner: string | undefined } | undefined;
  let keeping: Promise<void> = Promise.resolve();

  /** The owner whose heir this one is. */
  const testatorOf = (owner: Owner): string | undefined => {
    if (former) return former.owner;
    const before = remembered?.owner;
    return before?.startsWith(`${owner.node}/`) && before !== ownerText(owner) ? before : undefined;
  };
  const leaseOf = (owner: Owner): Owned => {
    const inherits = testatorOf(owner);
    const lease = backend.lease(owner, ttl, { ...options, ...(inherits !== undefined && { inherits }) });
    return { owner: ownerText(owner), node: owner.node, lease, taken: false };
  };
  const leave = async (left: Owned, next: Owner, signal: AbortSignal) => {
    held = false;
    if (left.node !== next.node) {
      for (const each of [left, former]) if (each?.taken) await each.lease.release(signal);
      former = undefined;
    } else if (left.taken) {
      former = left;
    }
    now = undefined;
    if (former?.owner !== ownerText(next)) return;
    // The Docker of before is back, and nobody has taken what it holds.
    now = former;
    former = undefined;
  };
  /** Its records have an heir, so that this removes none. Where it fails it is tried again with the next beat. */
  const giveUpFormer = async (signal: AbortSignal) => {
    const isOver = await former?.lease.release(signal).then(() => true, isLoss);
    if (isOver) former = undefined;
  };

  return {
    async renew(owner, signal) {
      if (now && now.owner !== ownerText(owner)) await leave(now, owner, signal);
      remembered ??= { owner: await memory?.read() };
      now ??= leaseOf(owner);
      const { ttl: granted, fresh } = await now.lease.renew(signal);
      now.taken = true;
      if (remembered.owner !== now.owner) {
        const next = now.owner;
        remembered = { owner: next };
        // No record waits for what only the next process asks for.
        keeping = keeping.then(() => memory?.write(next));
      }
      await giveUpFormer(signal);
      const isAnother = now !== last;
      last = now;
      held = true;
      return { ttl: granted, fresh: fresh || isAnother };
    },
    heldBy: (owner) => (held && now?.owner === ownerText(owner) ? now.lease : undefined),
    isHeld: () => held,
    lost() {
      held = false;
    },
    kept: () => keeping,
    async release(signal) {
      const each = [held ? now : undefined, former];
      held = false;
      former = undefined;
      for (const one of each) await one?.lease.release(signal);
    },
  };
}
