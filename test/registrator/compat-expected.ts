import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerInspectInfo } from "dockerode";
import type { Instance } from "../../src/instance.ts";

/** What registrator makes of a recorded container: see golden/compat/README.md. */
export interface Expected {
  readonly rules: readonly string[];
  readonly registered: readonly Pick<
    Instance,
    "id" | "service" | "address" | "port" | "tags" | "meta" | "checks"
  >[];
  /** `<id> <service> <address>:<port>`. */
  readonly internal: readonly string[];
  readonly withoutIp: readonly string[];
}

const folder = join(import.meta.dirname, "golden/compat");
const read = (situation: string, file: string) =>
  JSON.parse(readFileSync(join(folder, situation, file), "utf8")) as unknown;

/** The recorded answer of Docker. */
export const recorded = (situation: string) => read(situation, "inspect.json") as ContainerInspectInfo;

/** The expectation, by hand. */
export const expected = (situation: string) => read(situation, "expected.json") as Expected;
