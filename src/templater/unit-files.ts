import { PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Accepted } from "./accepted.ts";
import type { Backups } from "./backups.ts";
import { isFileOf, targetOf } from "./each.ts";
import { planFiles } from "./file-plan.ts";
import { type OwnedFiles, openOwnedFiles } from "./owned-files.ts";
import type { File } from "./part.ts";
import type { Pin } from "./pins.ts";
import type { LeftOut, RenderedFiles } from "./rendered-files.ts";
import type { Target } from "./target.ts";

/** The files of one target, or of one group, of which some targets have one for each service. */
export interface UnitFiles {
  /**
   * What is to stand and what is to go, when all templates have given something; else undefined. Tells of each
   * service that is left out. Rejects with DESTINATION.
   */
  plan(
    made: readonly { readonly target: Target; readonly outcome: RenderedFiles }[],
    accepted: Pick<Accepted, "get" | "destinations">,
  ): Promise<readonly File[] | undefined>;
  /** What a rollback asks for. Rejects with FAILED when a file is not kept any more. */
  rolledBack(pin: Pin, backups: Pick<Backups, "find">): Promise<readonly File[]>;
  /** These are about to be written or removed. Rejects with DESTINATION. */
  claim(files: readonly File[]): Promise<void>;
  /** All of these stand or are gone. Never rejects: a list that is too long does little harm. */
  settle(files: readonly File[]): Promise<void>;
  /** The services that the last plan left out. */
  leftOut(target: Target): readonly LeftOut[];
}

/** The files of `targets`. */
export function createUnitFiles(targets: readonly Target[], log: Pick<Log, "error">): UnitFiles {
  const several = targets.filter(({ forEach }) => forEach !== undefined);
  const owned = new Map<Target, OwnedFiles>(several.map((target) => [target, openOwnedFiles(target)]));
  const leftOut = new Map<Target, readonly LeftOut[]>();

  const report = (target: Target, next: readonly LeftOut[]) => {
    const before = leftOut.get(target) ?? [];
    for (const { service, reason } of next) {
      if (before.some((one) => one.service === service && one.reason === reason)) continue;
      const fields = { destination: target.destination, service, code: "DESTINATION" };
      log.error(fields, `service left out: ${reason}`);
    }
    leftOut.set(target, next);
  };
  const ofTarget = (files: readonly File[], target: Target) =>
    files.filter((file) => file.target.partOf === target.destination);
  const pathsOf = (files: readonly File[]) => files.map(({ target }) => target.destination);

  return {
    async plan(made, accepted) {
      if (made.some(({ outcome }) => outcome.status !== "rendered")) return undefined;
      const files: File[] = [];
      for (const { target, outcome } of made) {
        if (outcome.status !== "rendered") continue;
        const list = owned.get(target);
        if (list === undefined) {
          files.push(...outcome.files.map(({ text }) => ({ target, text })));
          continue;
        }
        const plan = await planFiles(target, outcome.files, list, accepted);
        report(target, [...outcome.leftOut, ...plan.leftOut]);
        files.push(...plan.files);
      }
      return files;
    },
    async rolledBack(pin, backups) {
      const files: File[] = [];
      for (const target of targets) {
        const isOwn = (path: string) =>
          target.forEach ? isFileOf(target, path) : path === target.destination;
        for (const [path, hash] of Object.entries(pin.files).filter(([one]) => isOwn(one))) {
          const text = hash === null ? undefined : await backups.find(path, hash);
          if (hash !== null && text === undefined) throw new PortolanError("FAILED", notKept(path));
          files.push({ text, target: targetOf(target, path) });
        }
      }
      return files;
    },
    async claim(files) {
      for (const [target, list] of owned) await list.claim(pathsOf(ofTarget(files, target)));
    },
    async settle(files) {
      for (const [target, list] of owned) {
        const standing = ofTarget(files, target).filter(({ text }) => text !== undefined);
        await list.settle(pathsOf(standing)).catch((err: unknown) => {
          log.error({ destination: target.destination, err }, "the list of its files is not up to date");
        });
      }
    },
    leftOut: (target) => leftOut.get(target) ?? [],
  };
}

const notKept = (path: string) =>
  `what ${path} is to be rolled back to is not kept any more; \`portolan rollback --release\` ends that`;
