import type { RegistratorSettings } from "../settings.ts";

/**
 * Whether the record of a container that has ended stays, as `unhealthy`, instead of going at once.
 * `code` is its exit code, or undefined for a container that Docker has removed already (`docker run --rm`),
 * whose record always goes. `on-success` keeps what failed by itself: an end with 0 or by a signal was
 * wanted. A shell reports signal N as 128 + N, and there are 31 of them that end a process, so 129 to 159
 * mean a signal. `compat` takes each code with bit 128 for one, as registrator does: 255 of a PHP program too.
 */
export function keepsRecord(
  code: number | undefined,
  mode: RegistratorSettings["deregister"],
  compat: boolean,
): boolean {
  if (code === undefined || mode === "always") return false;
  if (mode === "never") return true;
  const killed = compat ? (code & 128) !== 0 : code >= 129 && code <= 159;
  return code !== 0 && !killed;
}
