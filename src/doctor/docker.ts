import { deadline } from "../clock.ts";
import type { Engine } from "../registrator/docker/engine.ts";
import { lookAtDocker } from "../registrator/look.ts";
import type { RegistratorSettings } from "../registrator/settings.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";

/** ms that Docker has for all that it is asked. */
const patience = 10_000;
/** ms by which Docker's clock may be another one than this process's. */
const tolerance = 5_000;

/** What a registrator would read of Docker: version, identity, containers and their events. It changes nothing. */
export async function lookAtEngine(
  url: string,
  rules: RegistratorSettings,
  {
    env,
    stop,
    needed,
  }: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly stop: AbortSignal;
    /** Without it only what Docker is needed for does not work. */
    readonly needed: boolean;
  },
): Promise<{ readonly findings: readonly Finding[]; readonly engine?: Engine }> {
  const about = "docker";
  try {
    const { engine, known, ahead } = await lookAtDocker(url, rules, env, deadline(patience, stop));
    const { hostname, apiVersion } = engine;
    const running = known.filter(({ state }) => state === "running").length;
    const found = `Docker ${hostname} answers at ${url}: API ${apiVersion}, ${running} of ${known.length} containers run`;
    return { engine, findings: [ok(about, found), ...clockFindings(ahead)] };
  } catch (error) {
    const means = needed
      ? "no container of this host is registered"
      : "a registrator cannot run here; a templater needs no Docker";
    const wayOut = "start Docker, or name its address with --docker";
    return { findings: [troubleOf(about, needed ? "wrong" : "warning", error, means, wayOut)] };
  }
}

function clockFindings(ahead: number | undefined): readonly Finding[] {
  if (ahead === undefined || Math.abs(ahead) < tolerance) return [];
  const seconds = Math.round(Math.abs(ahead) / 1000);
  return [
    {
      about: "docker",
      level: "warning",
      found: `Docker's clock is ${seconds} s ${ahead > 0 ? "ahead of" : "behind"} the one here`,
      means:
        "orders with an end (`drain --for`) end early or late on this host; nothing else counts by the clock",
      wayOut: "set both by NTP",
    },
  ];
}
