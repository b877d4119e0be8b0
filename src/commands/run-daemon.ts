import { isDeepStrictEqual } from "node:util";
import type { Backend } from "../backends/backend.ts";
import { deadline } from "../clock.ts";
import { defaultPort } from "../config/listen-address.ts";
import { MistakesError } from "../config/mistake.ts";
import type { Settings } from "../config/settings.ts";
import { defaultStateFolder } from "../config/state-folder.ts";
import { missingTemplates } from "../config/targets.ts";
import type { Daemon } from "../daemon.ts";
import { coded, PortolanError } from "../errors.ts";
import type { Meter } from "../meter.ts";
import { openStateDir, type StateDir } from "../state-dir.ts";
import { createMetrics, type Metrics } from "../status/metrics.ts";
import { type StatusServer, startStatusServer } from "../status/server.ts";
import { watchFiles } from "../watched-files.ts";
import { type BackendPool, createBackendPool } from "./backend-pool.ts";
import type { Context } from "./context.ts";

/** What a daemon is started with. */
export interface Parts {
  readonly settings: Settings;
  readonly backends: readonly Backend[];
  readonly state: StateDir;
  readonly meter: Meter;
  /** True while the daemon is stopped only to be started again: what it registered has to stay. */
  restarting(): boolean;
}

/** Starts the inside of a daemon. Throws nothing but what the configuration makes impossible. */
export type Start = (parts: Parts, context: Context) => Daemon;

/** ms after which `--once` gives up. */
const onceBound = 60_000;

/**
 * The life of a daemon: lock the state folder, serve the status pages, start, read the configuration again
 * at each SIGHUP and when its file changes, and stop. With `--once`: start, wait until all is in sync, stop.
 */
export async function runDaemon(context: Context, start: Start): Promise<number> {
  const { settings, log } = context;
  await assertTemplates(settings, context);
  const state = await openStateDir(await stateFolder(context));
  const pool = createBackendPool(context.env);
  const metrics = createMetrics();
  let server: StatusServer | undefined;
  try {
    const inside = await createInside(context, start, state, pool, metrics.meter);
    const files = watchFiles(() => inside.reload());
    try {
      if (settings.values.once) return await once(context, inside);
      server = await serve(context, inside, metrics);
      await state.write("listen", `${server?.address ?? "off"}\n`);
      inside.start();
      context.onReload(() => inside.reload());
      if (settings.configFile !== undefined)
        await files.watch({ files: new Set([settings.configFile]), folders: new Set() });
      context.started();
      log.info(
        { version: context.version, pid: process.pid, listen: server?.address, config: settings.configFile },
        `${context.command} started`,
      );
      await aborted(context.stop);
      log.info({}, "stopping");
      return 0;
    } finally {
      await files.close();
      await inside.stop();
    }
  } finally {
    await pool.close();
    await server?.close();
    await state.close();
  }
}

/** A daemon that can be replaced by one with other settings. */
interface Inside {
  current(): Daemon | undefined;
  start(): Daemon;
  /** Reads the configuration again. A bad one is reported and the old one kept. */
  reload(): void;
  /** Ends the daemon, and any reload in hand. */
  stop(): Promise<void>;
}

async function createInside(
  context: Context,
  start: Start,
  state: StateDir,
  pool: BackendPool,
  meter: Meter,
): Promise<Inside> {
  const { log } = context;
  let settings = context.settings;
  let backends = await pool.open(urlsOf(settings), layoutOf(settings));
  let daemon: Daemon | undefined;
  let stopping = false;
  let restarting = false;
  let reloads: Promise<void> = Promise.resolve();

  const launch = (): Daemon => {
    const parts = { settings, backends, state, meter, restarting: () => restarting && !stopping };
    daemon = start(parts, context);
    return daemon;
  };
  const reload = async () => {
    if (stopping) return;
    const next = await context.reread();
    await assertTemplates(next, context);
    if (sameSettings(settings, next)) {
      log.info({}, "configuration read again; nothing in it has changed");
      daemon?.refresh();
      return;
    }
    const opened = await pool.open(urlsOf(next), layoutOf(next));
    if (stopping) return;
    for (const name of ["stateDir", "listen", "logLevel", "logFormat"] as const) {
      if (isDeepStrictEqual(settings.values[name], next.values[name])) continue;
      log.warn({ option: name }, "a change of this needs a restart of the process");
    }
    restarting = true;
    await daemon?.stop();
    restarting = false;
    if (stopping) return;
    settings = next;
    backends = opened;
    launch();
    await pool.keepOnly(backends);
    log.info({ config: next.configFile }, "configuration changed and applied");
  };

  return {
    current: () => daemon,
    start: launch,
    reload() {
      reloads = reloads.then(reload).catch((error: unknown) => {
        for (const each of mistakesOf(error))
          log.error({ err: each }, "configuration not applied; the old one stays");
      });
    },
    async stop() {
      stopping = true;
      await reloads;
      await daemon?.stop(context.hurry);
    },
  };
}

async function once({ stop, started, log, version, command }: Context, inside: Inside): Promise<number> {
  const daemon = inside.start();
  started();
  log.info({ version }, `${command} runs once`);
  try {
    await daemon.synced(deadline(onceBound, stop));
    return 0;
  } catch {
    const reasons = daemon.notReady();
    log.error({ reasons }, stop.aborted ? "interrupted before all was in sync" : "not in sync in time");
    return 1;
  }
}

/** A default address that is taken is no reason not to run; a given one is. */
async function serve(
  { command, settings, version, log }: Context,
  inside: Inside,
  metrics: Metrics,
): Promise<StatusServer | undefined> {
  const { listen } = settings.values;
  if (listen === "off") return undefined;
  const on = (host: string, port: number) =>
    startStatusServer({ host, port, version, command, metrics, daemon: inside.current });
  if (listen) return on(listen.host, listen.port);
  try {
    return await on("127.0.0.1", defaultPort(command));
  } catch (error) {
    const server = await on("127.0.0.1", 0);
    log.warn({ address: server.address, err: error }, "status pages are served on another address");
    return server;
  }
}

async function stateFolder({ command, settings, env }: Context): Promise<string> {
  return settings.values.stateDir ?? defaultStateFolder(command, env);
}

/** Who asks for registrator's rules has readers of its keys, too. */
function layoutOf({ values }: Settings): string | undefined {
  return values.compat;
}

/** The backends' URLs. Without any, only `agent` gets this far: it then needs none but its own memory. */
export function urlsOf({ values }: Settings): readonly string[] {
  return values.backend.length > 0 ? values.backend : ["memory:"];
}

async function assertTemplates({ mistakes, values }: Settings, { cwd }: Context): Promise<void> {
  const all = [...mistakes, ...(await missingTemplates(values.template, cwd))];
  if (all.length > 0) throw new MistakesError(all);
}

/** Where a template stands in the config file is no part of what it says. */
function sameSettings(a: Settings, b: Settings): boolean {
  return (
    isDeepStrictEqual(a.targets, b.targets) &&
    isDeepStrictEqual({ ...a.values, template: [] }, { ...b.values, template: [] })
  );
}

function mistakesOf(error: unknown): readonly PortolanError[] {
  if (!(error instanceof MistakesError)) return [coded("FAILED", error)];
  return error.mistakes.map(({ code, text }) => new PortolanError(code, text));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
