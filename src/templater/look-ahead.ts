import { leftOf, stands } from "./destination.ts";
import { sha256 } from "./hash.ts";
import { type File, look, type Part } from "./part.ts";
import { type Staged, stage } from "./stage.ts";

/** What is done for an install before it has begun. */
interface Ahead {
  readonly text: string;
  /** Undefined when the file does not stand as it was left. */
  readonly part: Promise<Part | undefined>;
  readonly staging: Promise<Staged>;
}

/** By destination. */
const begun = new Map<string, Ahead>();

/**
 * Looks at a file that is about to be installed alone, and stages its text, while other things are seen to. Only where
 * this process has left other bytes. The staged file is opened before it is known that they still stand there, and
 * nothing is written into it before: a link on the way may lead elsewhere by now.
 */
export function lookAhead({ text, target }: File): void {
  const { destination, roots, check } = target;
  if (typeof text !== "string" || roots || check || begun.has(destination)) return;
  const bytes = Buffer.from(text);
  const live = leftOf(destination, bytes);
  if (live === undefined) return;
  let asked: Promise<boolean> | undefined;
  const isSure = () => {
    asked ??= stands(live);
    return asked;
  };
  const staging = stage(bytes, target, live, { leaveOpen: true, isSure });
  staging.catch(() => {});
  const find = async (): Promise<Part | undefined> => {
    if (await isSure()) return { target, bytes, hash: sha256(bytes), live, isLive: false, staging };
    // What was opened is gone then.
    await staging.catch(() => {});
    return undefined;
  };
  begun.set(destination, { text, part: find(), staging });
}

/** What the look ahead has found, else what a look finds now. Rejects with DESTINATION. */
export async function lookNow(file: File): Promise<Part> {
  const { destination } = file.target;
  if (begun.get(destination)?.text !== file.text) await endLook(destination);
  const ahead = begun.get(destination);
  begun.delete(destination);
  return (await ahead?.part) ?? look(file);
}

/** Clears away what was staged ahead, and no install has used. Never rejects. */
export async function endLook(destination: string): Promise<void> {
  const ahead = begun.get(destination);
  begun.delete(destination);
  const staged = await ahead?.staging.catch(() => undefined);
  await staged?.remove();
}
