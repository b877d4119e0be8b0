import { isDeepStrictEqual } from "node:util";
import type { Backend } from "../backends/backend.ts";
import { deadline, untilAborted } from "../clock.ts";
import { certificateFiles } from "../config/certificate-files.ts";
import { configNames } from "../config/config-paths.ts";
import { MistakesError } from "../config/mistake.ts";
import type { Settings } from "../config/settings.ts";
import { defaultStateFolder } from "../config/state-folder.ts";
import { missingTemplates } from "../config/targets.ts";
import type { Daemon } from "../daemon.ts";
import { coded, PortolanError } from "../errors.ts";
import type { Meter } from "../meter.ts";
import { openStateDir, type StateDir } from "../state-dir.ts";
import { createMetrics } from "../status/metrics.ts";
import { type Watched, watchFiles } from "../watched-files.ts";
import { type BackendPool, createBackendPool } from "./backend-pool.ts";
import type { Context } from "./context.ts";
import { showFirstSync } from "./first-sync.ts";
import { type Served, serveStatus } from "./serve-status.ts";

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
export async function runDaemon(given: Context, start: Start): Promise<number> {
  const firstSync = showFirstSync(given);
  const { context } = firstSync;
  const { settings, log } = context;
  await assertTemplates(settings, context);
  const state = await openStateDir(await stateFolder(context));
  const pool = createBackendPool(context.env);
  const metrics = createMetrics();
  let server: Served | undefined;
  try {
    const inside = await createInside(context, start, state, pool, metrics.meter);
    const watch = async () => {
      const watched = inside.watched();
      if (watched.files.size > 0 || watched.folders.size > 0) await files.watch(watched);
    };
    const reload = async (paths?: ReadonlySet<string>) => {
      await inside.reload(paths);
      await watch();
    };
    const files = watchFiles((paths) => void reload(paths), configNames);
    try {
      firstSync.follow(inside.current);
      if (settings.values.once) return await once(context, inside);
      server = await serveStatus(context, metrics, inside.current);
      await state.write("listen", `${server?.address ?? "off"}\n`);
      inside.start();
      context.onReload(() => void reload());
      await watch();
      context.started();
      log.info(
        { version: context.version, pid: process.pid, listen: server?.address, config: configOf(settings) },
        `${context.command} started`,
      );
      await untilAborted(context.stop);
      log.info({}, "stopping");
      return 0;
    } finally {
      firstSync.end();
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
  /**
   * Reads the configuration again, and certificates that are among the files that have changed. Bad ones are reported
   * and the old ones kept. Never rejects.
   */
  reload(changed?: ReadonlySet<string>): Promise<void>;
  /** The configuration, and the certificates that it names. */
  watched(): Watched;
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
    daemon = undefined;
    daemon = start(parts, context);
    return daemon;
  };
  const certificates = () => certificateFiles(namesOf(settings), context.env, context.cwd);
  const reload = async (changed?: ReadonlySet<string>) => {
    if (stopping) return;
    const areRenewed = certificates().some((file) => changed?.has(file));
    const next = await context.reread();
    await assertTemplates(next, context);
    if (daemon && !areRenewed && sameSettings(settings, next)) {
      log.info({}, "configuration read again; nothing in it has changed");
      daemon.refresh();
      return;
    }
    const opened = await pool.open(urlsOf(next), layoutOf(next), areRenewed);
    if (stopping) return;
    for (const name of ["stateDir", "listen", "listenTokenFile", "logLevel", "logFormat"] as const) {
      if (isDeepStrictEqual(settings.values[name], next.values[name])) continue;
      log.warn({ option: name }, "a change of this needs a restart of the process");
    }
    const before = { settings, backends };
    try {
      restarting = true;
      await daemon?.stop();
      restarting = false;
      if (stopping) return;
      settings = next;
      backends = opened;
      launch();
    } catch (error) {
      // It has ended, or is about to: the one that stays is started anew.
      restarting = false;
      ({ settings, backends } = before);
      if (!stopping) launch();
      throw error;
    } finally {
      await pool.keepOnly(backends);
    }
    const what = areRenewed ? "certificates have changed and are used" : "configuration changed and applied";
    log.info({ config: configOf(next) }, what);
  };

  return {
    current: () => daemon,
    start: launch,
    watched() {
      const { files = [], folder } = settings.config ?? {};
      // In a folder files may come and go.
      return folder === undefined
        ? { files: new Set([...files, ...certificates()]), folders: new Set() }
        : { files: new Set(certificates()), folders: new Set([folder]) };
    },
    reload(changed) {
      reloads = reloads
        .then(() => reload(changed))
        .catch((error: unknown) => {
          const left = daemon ? "the old one stays" : "the old one has ended, and cannot be started again";
          for (const each of mistakesOf(error))
            log.error({ err: each }, `configuration not applied; ${left}`);
        });
      return reloads;
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

/** What the log calls the configuration. */
function configOf({ config }: Settings): string | undefined {
  return config?.folder ?? config?.files[0];
}

function namesOf(settings: Settings) {
  return { backends: urlsOf(settings), docker: settings.values.docker };
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
