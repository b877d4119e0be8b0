import { existsSync } from "node:fs";
import type { Backend, Snapshot } from "../backends/backend.ts";
import { emptySnapshot } from "../backends/records.ts";
import { parseBackendUrl } from "../backends/url.ts";
import { deadline } from "../clock.ts";
import type { Override } from "../override.ts";
import type { RegistratorOptions } from "../registrator/index.ts";
import { createPreview } from "../registrator/preview.ts";
import { createBackendPool } from "./backend-pool.ts";
import type { Context } from "./context.ts";
import { allOverrides } from "./override-notes.ts";
import { settle } from "./settle.ts";

/** ms that Docker and the backends have to answer. */
const patience = 10_000;

/**
 * `portolan registrator --dry-run`: prints what a registrator would change now in each backend, and takes no
 * lease and writes nothing. Rejects when Docker or a backend does not answer.
 */
export async function runDryRun(
  { settings, env, log, stop, print }: Context,
  options: Omit<RegistratorOptions, "backends">,
): Promise<number> {
  const pool = createBackendPool(env);
  try {
    const backends = await pool.open(settings.values.backend, settings.values.compat);
    const ordered = await readOrdered(backends, log, stop);
    const preview = await createPreview({ ...options, ordered }, deadline(patience, stop));
    try {
      const all = await Promise.all(
        backends.map(async (backend) => ({
          title: backend.title,
          lines: await preview.of(await read(backend, stop), backend.listed),
        })),
      );
      for (const { title, lines } of all) {
        print(`${title}\n${lines.length === 0 ? "  nothing would change\n" : ""}`);
        for (const line of lines) print(`${line}\n`);
      }
      return 0;
    } finally {
      await preview.close();
    }
  } finally {
    await pool.close();
  }
}

/** What operators have ordered, where that can be read. */
async function readOrdered(
  backends: readonly Backend[],
  log: Context["log"],
  stop: AbortSignal,
): Promise<readonly Override[]> {
  try {
    return await allOverrides(
      backends.filter((one) => !isMissing(one)),
      deadline(patience, stop),
    );
  } catch (error) {
    log.warn({ err: error }, "shown without overrides, which are not known");
    return [];
  }
}

/** Whether it is a folder that is not there: whoever observes it would make it. */
function isMissing({ title }: Backend): boolean {
  const { scheme, path } = parseBackendUrl(title);
  return scheme === "file" && !existsSync(path);
}

/** Everything that a backend holds now. */
async function read(backend: Backend, stop: AbortSignal): Promise<Snapshot> {
  if (isMissing(backend)) return emptySnapshot;
  const observation = backend.observe({ services: "all" });
  try {
    const look = () => {
      const observed = observation.current();
      return observed.known && observed.value.complete ? observed.value : undefined;
    };
    return await settle(observation, backend.title, look, patience, stop);
  } finally {
    await observation.close();
  }
}
