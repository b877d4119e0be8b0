import { PortolanError } from "../../errors.ts";
import { answerLimit } from "../limited.ts";

/**
 * Puts what arrives together to whole answers, each with the length in front that ZooKeeper sends first, and hands them
 * on one by one: the package would copy all of an answer again for each piece of it. Throws BACKEND_UNREACHABLE for an
 * answer that is longer than any is read.
 */
export function createFrames(take: (frame: Buffer) => void): (chunk: Buffer) => void {
  let pieces: Buffer[] = [];
  let held = 0;
  /** Bytes until something can be done: the length, and then all of the answer. */
  let needed = 4;

  return (chunk) => {
    pieces.push(chunk);
    held += chunk.length;
    while (held >= needed) {
      const bytes = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces, held);
      pieces = [bytes];
      const length = bytes.readInt32BE(0);
      if (length < 0 || length > answerLimit) {
        const wayOut = `at most ${answerLimit / 1024 ** 2} MB are read; what answers there is no ZooKeeper, or holds too much`;
        throw new PortolanError("BACKEND_UNREACHABLE", `an answer of ${length} bytes: ${wayOut}`);
      }
      needed = 4 + length;
      if (held < needed) return;
      take(bytes.subarray(0, needed));
      pieces = [bytes.subarray(needed)];
      held -= needed;
      needed = 4;
    }
  };
}
