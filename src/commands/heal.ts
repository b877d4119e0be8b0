import { createHash, randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { basename } from "node:path";
import type { Backend } from "../backends/backend.ts";
import { deadline, wallTimeIn } from "../clock.ts";
import { coded, PortolanError } from "../errors.ts";
import { commandText, failureOf, runCommand } from "../run-command.ts";
import type { Context } from "./context.ts";
import { type Count, exitCodeOf } from "./counts.ts";
import {
  afterLook,
  afterRun,
  decide,
  decodeMemory,
  encodeMemory,
  type HealMemory,
  type NewLook,
} from "./heal-memory.ts";
import { underLock } from "./under-lock.ts";

/** ms that the backend has for each answer. */
const patience = 3_000;
/** Seconds that the lock lives without a beat. */
const lockTtl = 15;

/** What `expect` has found. */
export interface Found {
  /** The file with what is expected. Its name tells checks apart: the same one on another host is the same check. */
  readonly file: string;
  readonly counts: readonly Count[];
  /** The counts as `--json` prints them, for the command. */
  readonly json: string;
}

type Asked = Pick<Context, "settings" | "env" | "stop">;

/**
 * Runs the command of `--heal` where it is due, and resolves with what became of that, in words; undefined where
 * nothing is wrong. Without `--apply` nothing is run and nothing is written. Never rejects: where the backend does not
 * answer, nothing is run, and that is said.
 */
export async function heal(backend: Backend, found: Found, asked: Asked): Promise<string | undefined> {
  try {
    return await healing(backend, found, asked);
  } catch (error) {
    const { code, message } = coded("FAILED", error);
    return `nothing is run: ${code}: ${message}`;
  }
}

async function healing(backend: Backend, found: Found, asked: Asked): Promise<string | undefined> {
  const { settings, stop } = asked;
  const { apply } = settings.values;
  const check = basename(found.file);
  const look = lookOf(found.counts);
  const memory = memoryOn(backend, check, look.now, stop);
  const lock = backend.lock?.(`heal/${check}`, `${look.host}:${process.pid}:${randomUUID()}`, lockTtl);
  if (!memory || !lock) throw new PortolanError("FAILED", `${backend.title} has no locks to heal under`);

  const before = await memory.read();
  const nothing = look.trouble === undefined && (!apply || before?.looks[look.host] === undefined);
  if (nothing) return undefined;
  if (!apply) {
    const { due, why } = decide(afterLook(before, look, settings.values), look, settings.values);
    const command = commandText({ argv: settings.commandLine });
    return `without --apply nothing is run; ${due ? `${command} would be` : `${command} would not be: ${why}`}`;
  }
  const tenure = await lock.renew(deadline(patience, stop));
  if (!tenure.held) return `nothing is run: ${tenure.holder} is at it`;
  const locked = (signal: AbortSignal) => healLocked(memory, look, found, { ...asked, stop: signal });
  return underLock(lock, tenure, locked, stop);
}

/** Remembers the look, and runs the command where it is due. `stop` aborts when the lock is lost, too. */
async function healLocked(
  memory: Memory,
  look: NewLook,
  { counts, json }: Found,
  { settings, env, stop }: Asked,
): Promise<string | undefined> {
  const { values, commandLine: argv } = settings;
  const now = afterLook(await memory.read(), look, values);
  const { due, why } = decide(now, look, values);
  // Before the command: one that ends this process counts as well.
  await memory.write(due ? afterRun(now, look.now) : now);
  if (look.trouble === undefined) return undefined;
  const command = commandText({ argv });
  if (!due) return `${command} is not run: ${why}`;
  const wrong = counts.filter(({ verdict }) => verdict !== "equal");
  const variables = {
    ...env,
    PORTOLAN_SERVICE: [...new Set(wrong.map(({ expected }) => expected.service))].join(","),
    PORTOLAN_VERDICT: look.trouble === 2 ? "too few" : "too many",
  };
  const options = { timeout: values.timeout, env: variables, signal: stop, input: json };
  const ended = await runCommand({ argv }, options);
  if (stop.aborted) return `${command} was ended: interrupted, or the lock is lost`;
  const failure = failureOf({ argv }, ended, values.timeout);
  return failure === undefined ? `${command} has run` : failure;
}

function lookOf(counts: readonly Count[]): NewLook {
  const code = exitCodeOf(counts);
  const expectations = JSON.stringify(counts.map(({ expected }) => expected));
  return {
    host: hostname(),
    expected: createHash("sha256").update(expectations).digest("hex").slice(0, 16),
    trouble: code === 0 ? undefined : code,
    now: wallTimeIn(0),
  };
}

/** What is remembered of one check. */
interface Memory {
  read(): Promise<HealMemory | undefined>;
  write(memory: HealMemory): Promise<void>;
}

/** Undefined where the backend keeps no notes. */
function memoryOn(backend: Backend, check: string, now: string, stop: AbortSignal): Memory | undefined {
  const notes = backend.notes?.("heal");
  return (
    notes && {
      async read() {
        const text = (await notes.list(deadline(patience, stop))).get(check);
        return text === undefined ? undefined : decodeMemory(text, now);
      },
      async write(memory) {
        const text = encodeMemory(memory);
        const limit = deadline(patience, stop);
        await (text === undefined ? notes.remove(check, limit) : notes.put(check, text, limit));
      },
    }
  );
}
