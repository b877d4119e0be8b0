import { lookAtAddress } from "../doctor/address.ts";
import { lookAtBackend } from "../doctor/backend.ts";
import { lookAtEngine } from "../doctor/docker.ts";
import { type Finding, ok, troubleOf } from "../doctor/finding.ts";
import { lookAtPromotion } from "../doctor/promotion.ts";
import { lookAtStatusPages } from "../doctor/status-pages.ts";
import { lookAtTarget } from "../doctor/target.ts";
import type { RegistratorSettings } from "../registrator/settings.ts";
import { createBackendPool } from "./backend-pool.ts";
import type { Context } from "./context.ts";
import { findingsText } from "./findings-text.ts";
import { registratorSettings } from "./registrator.ts";

/**
 * `portolan doctor`: looks at all that the daemons of this host would need. Resolves with 1 when something is wrong,
 * else with 0.
 */
export async function runDoctor(context: Context): Promise<number> {
  const { settings, print } = context;
  const rules = registratorSettings(settings, () => false);
  const [host, pages, targets] = await Promise.all([
    lookAtHost(context, rules),
    lookAtStatusPages(settings.values.listenTokenFile),
    Promise.all(settings.targets.map((target) => lookAtTarget(target, context))),
  ]);
  const findings = [...host, ...pages, ...targets.flat()];
  print(settings.values.json ? `${JSON.stringify(findings, undefined, 2)}\n` : findingsText(findings));
  return findings.some(({ level }) => level === "wrong") ? 1 : 0;
}

/** Docker first: it tells the name of the host. */
async function lookAtHost(
  { settings, env, stop }: Context,
  rules: RegistratorSettings,
): Promise<readonly Finding[]> {
  const { values, targets, origins } = settings;
  const { docker } = values;
  const needed = targets.length === 0 || origins.docker !== "default";
  const { findings, engine } = await lookAtEngine(docker, rules, { env, stop, needed });
  const promotion = rules.onPromote ? [await lookAtPromotion(rules.onPromote, env.PATH)] : [];
  const address = engine ? [lookAtAddress(rules.ip, { env, engine, docker })] : [];
  const asking = {
    node: values.node ?? engine?.hostname ?? "unknown",
    ttl: rules.ttlSeconds || 15,
    reads: targets.length > 0,
    turns: [...new Set(targets.flatMap(({ reloadTurns }) => reloadTurns?.name ?? []))],
    stop,
  };
  const backends = await Promise.all(
    values.backend.map(async (url) => lookAtUrl(url, { env, asking, layout: values.compat })),
  );
  const none = "none is given: an agent needs none, a registrator or a templater by itself does";
  const given = values.backend.length > 0 ? backends.flat() : [ok("backend", none)];
  return [...findings, ...address, ...promotion, ...given];
}

async function lookAtUrl(
  url: string,
  {
    env,
    asking,
    layout,
  }: {
    readonly env: Context["env"];
    readonly asking: Parameters<typeof lookAtBackend>[1];
    readonly layout: string | undefined;
  },
): Promise<readonly Finding[]> {
  const pool = createBackendPool(env);
  try {
    const [backend] = await pool.open([url], layout);
    return backend ? await lookAtBackend(backend, asking) : [];
  } catch (error) {
    return [troubleOf("backend", "wrong", error, "no daemon starts with it")];
  } finally {
    await pool.close();
  }
}
