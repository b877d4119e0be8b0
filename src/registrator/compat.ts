import type { Container } from "./container.ts";
import { nativeOutcome } from "./native.ts";
import type { Circumstances, Outcome } from "./outcome.ts";

/** The rules of gliderlabs/registrator, quirks included: one container's instances. */
export function compatOutcome(container: Container, circumstances: Circumstances): Outcome {
  return nativeOutcome(container, circumstances);
}
