import { deadline } from "../clock.ts";
import { templaterStateFolders } from "../config/state-folder.ts";
import type { DaemonStatus } from "../daemon-status.ts";
import { PortolanError } from "../errors.ts";
import { askStatus } from "../status/ask.ts";
import { readToken } from "../status/token.ts";
import type { Context } from "./context.ts";
import { type Running, runningIn } from "./healthcheck.ts";

/** A service that a file shows as it was, because the file's check refuses what the service has become. */
export interface HeldBackHere {
  readonly destination: string;
  readonly service: string;
  /** The words of the check, in one line. */
  readonly why: string;
}

/** What the templaters of this host say. */
export interface HeldBackAnswer {
  readonly heldBack: readonly HeldBackHere[];
  /** For each templater that runs and does not say it, why. */
  readonly unknown: readonly string[];
}

/** ms that a templater has to answer. */
const patience = 3_000;

/** Asks the templaters and agents that run on this host for what they hold back. Never rejects. */
export async function heldBackHere({
  settings,
  env,
  stop,
}: Pick<Context, "settings" | "env" | "stop">): Promise<HeldBackAnswer> {
  const { stateDir, listenTokenFile } = settings.values;
  const heldBack: HeldBackHere[] = [];
  const unknown: string[] = [];
  try {
    const folders = stateDir === undefined ? await templaterStateFolders(env) : [stateDir];
    for (const running of await runningIn(folders)) {
      try {
        heldBack.push(...(await ask(running, listenTokenFile, deadline(patience, stop))));
      } catch (error) {
        unknown.push(`process ${running.pid} (${running.folder}): ${messageOf(error)}`);
      }
    }
  } catch (error) {
    unknown.push(messageOf(error));
  }
  return { heldBack, unknown };
}

/** What one of them says. Rejects with FAILED, ABORTED and USAGE. */
async function ask(
  { listen }: Running,
  tokenFile: string | undefined,
  signal: AbortSignal,
): Promise<readonly HeldBackHere[]> {
  if (listen === undefined) return [];
  if (listen === "off")
    throw new PortolanError("FAILED", "it serves no status pages; start it without --listen off");
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
  const { status, body } = await askStatus(listen, "/status", signal, token);
  if (status === 401)
    throw new PortolanError("FAILED", "it asks for another token; name its file with --listen-token-file");
  if (status !== 200)
    throw new PortolanError("FAILED", `http://${listen}/status answered ${status}: ${body.trim()}`);
  const all = JSON.parse(body) as DaemonStatus;
  const targets = (all.templater ?? all).targets ?? [];
  return targets.flatMap(({ destination, heldBack = [] }) =>
    heldBack.map(({ service, why }) => ({ destination, service, why })),
  );
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
