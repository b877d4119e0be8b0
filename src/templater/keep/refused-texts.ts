import { backoff, monotonic } from "../../clock.ts";
import type { ReloadError } from "../reload/index.ts";

/** Texts that the proxy has refused last. They are tried again when they change, and now and then. */
export interface RefusedTexts {
  /**
   * The refusal of texts, while they are not to be tried again yet; undefined when they are. `key` is asked for only
   * when something was refused: finding it takes time.
   */
  standing(key: () => string): Refusal | undefined;
  /** The proxy has said no to the texts with this key. Gives the ms until they are tried again. */
  refuse(key: string, error: ReloadError): number;
  /** Whatever was refused is tried again. */
  clear(): void;
}

/** What the proxy has said, and the ms until it is asked again. */
export interface Refusal {
  readonly error: ReloadError;
  readonly retryIn: number;
}

/** ms until what was refused is tried again: at least, and the base and cap of what is added. */
const wait = { least: 1_000, base: 2_000, cap: 300_000 };

/** Nothing is refused at first. A key stands for all texts of a group. */
export function createRefusedTexts(): RefusedTexts {
  let last:
    | { readonly key: string; readonly tries: number; readonly until: number; readonly error: ReloadError }
    | undefined;
  return {
    standing(key) {
      if (last === undefined || last.key !== key()) return undefined;
      const retryIn = last.until - monotonic();
      return retryIn > 0 ? { error: last.error, retryIn } : undefined;
    },
    refuse(key, error) {
      const tries = last?.key === key ? last.tries + 1 : 0;
      const retryIn = wait.least + backoff(tries, wait.base, wait.cap);
      last = { key, tries, until: monotonic() + retryIn, error };
      return retryIn;
    },
    clear() {
      last = undefined;
    },
  };
}
