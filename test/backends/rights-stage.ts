// What rights are worth that a test has given: what each role does, in this process or by the programs that a user runs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, vi } from "vitest";
import type { Backend, NoteArea, Notes } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Source } from "../../src/source.ts";
import { runHere } from "../commands/run-here.ts";
import { type Program, startProgram } from "../e2e/program.ts";
import { dockerCli } from "../servers/docker.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";

// Programs and containers come and go in one test, some of them several times.
vi.setConfig({ testTimeout: 180_000 });

/** A backend, seen with somebody's credentials. */
export interface Access {
  readonly url: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const roles = ["registrator", "templater", "operator"] as const;
export type Role = (typeof roles)[number];

/** ms; ten times what the product promises, and the start of a program. */
const soon = { within: 30_000 };
let runs = 0;
const someName = () => {
  runs += 1;
  return `rights-${process.pid}-${runs}`;
};
/** Where command lines run in this process. */
const here = tempDir("rights");

/** What `portolan acl` prints. */
export async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runHere(["acl", ...args], here);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** The rules of a text, of one role or of all. */
export function rulesOf(text: string, role?: Role): readonly string[] {
  return linesOf(text, role).filter((line) => !line.startsWith("#"));
}

/** The rules that a text has as comments, because not everybody needs them. */
export function rulesAtNeed(text: string, role?: Role): readonly string[] {
  return linesOf(text, role)
    .filter((line) => /^# (key_prefix|session_prefix|etcdctl|create|setAcl) /.test(line))
    .map((line) => line.slice(2));
}

function linesOf(text: string, role: Role | undefined): readonly string[] {
  const lines = text.split("\n").filter((line) => line !== "");
  const rest = role === undefined ? lines : lines.slice(lines.indexOf(`# ${role}`) + 1);
  const next = /^# (registrator|templater|operator)$/;
  const end = role === undefined ? -1 : rest.findIndex((line) => next.test(line));
  return end < 0 ? rest : rest.slice(0, end);
}

/** What a source comes to know. Rejects with its problem. */
async function known<T>(source: Source<T>): Promise<T> {
  const now = await waitFor(
    "an answer",
    () => {
      const observed = source.current();
      return (observed.known || observed.problem) && observed;
    },
    soon,
  );
  await source.close();
  if (now.known && !now.problem) return now.value;
  throw now.problem?.error;
}

function notesOf(backend: Backend, area: NoteArea): Notes {
  const notes = backend.notes?.(area);
  if (!notes) throw new Error(`${backend.title} keeps no notes`);
  return notes;
}

async function useOverrides(backend: Backend): Promise<void> {
  const [notes, name] = [notesOf(backend, "overrides"), someName()];
  await known(notes.watch());
  await notes.put(name, "ordered", signal);
  expect((await notes.list(signal)).get(name)).toBe("ordered");
  expect(await notes.exchange(name, "ordered", "changed", signal)).toBe(true);
  await notes.remove(name, signal);
}

async function readAll(backend: Backend): Promise<void> {
  await known(backend.observe({ services: "all" }));
  await backend.living?.(new Set(["nobody"]), signal);
}

/** What is asked of a backend, one call after the other; each rejects with the first refusal. */
const jobs = {
  /** Two runs of one owner, the second of which takes over and leaves. */
  async registrator(backend: Backend, node = someName()): Promise<void> {
    const owner = someOwner({ node });
    await backend.lease(owner, 10).renew(signal);
    const lease = backend.lease({ ...owner, run: "next" }, 10);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: node });
    await lease.register(instance, signal);
    expect(await lease.owned(signal)).toHaveLength(1);
    await lease.register({ ...instance, state: "draining" }, signal);
    await lease.register({ ...instance, port: 7 }, signal);
    await lease.deregister(instance, signal);
    await lease.release(signal);
    await useOverrides(backend);
  },
  async templater(backend: Backend): Promise<void> {
    await readAll(backend);
    const name = someName();
    // The second is the first one's next process.
    const notes = [1, 2].map(() => notesOf(backend, "templaters").hold(name, 10));
    for (const note of notes) {
      await note.renew("one", signal);
      await note.renew("two", signal);
    }
    for (const note of notes) await note.release(signal);
  },
  async operator(backend: Backend): Promise<void> {
    await readAll(backend);
    await known(notesOf(backend, "templaters").watch());
    await useOverrides(backend);
  },
  /** Of a registrator, where roles are elected, and of a templater whose reloads take turns. */
  async elections(backend: Backend): Promise<void> {
    const lock = backend.lock?.(someName(), "one", 10);
    if (!lock) throw new Error(`${backend.title} has no locks`);
    expect(await lock.renew(signal)).toMatchObject({ held: true });
    await known(lock.watch());
    await lock.release(signal);
  },
  /** Of an operator, with `expect --heal`. */
  async healing(backend: Backend): Promise<void> {
    const [notes, name] = [notesOf(backend, "heal"), someName()];
    const lock = backend.lock?.(`heal/${name}`, "one", 10);
    if (!lock) throw new Error(`${backend.title} has no locks`);
    expect((await notes.list(signal)).has(name)).toBe(false);
    expect(await lock.renew(signal)).toMatchObject({ held: true });
    await notes.put(name, "healed", signal);
    await notes.remove(name, signal);
    await lock.release(signal);
  },
  /** Of a templater whose templates read keys below `rights/`. */
  async keys({ kv, title }: Backend): Promise<void> {
    if (!kv) throw new Error(`${title} has no keys`);
    expect(await kv.get("rights/absent", signal)).toBeUndefined();
    expect((await kv.tree("rights", signal)).size).toBe(0);
    await known(kv.watch({ keys: new Set(["rights/absent"]), trees: new Set(["rights"]) }));
  },
} satisfies Readonly<Record<string, (backend: Backend, node?: string) => Promise<void>>>;
export type Job = keyof typeof jobs;

/** Opens a backend with somebody's credentials for a while. */
async function asking<T>({ url, env = {} }: Access, use: (backend: Backend) => Promise<T>): Promise<T> {
  const backend = await openBackend(url, { env });
  try {
    return await use(backend);
  } finally {
    await backend.close();
  }
}

/** Does a job with somebody's credentials. `node`: the only one that a registrator claims. */
export function work(job: Job, access: Access, node?: string): Promise<void> {
  return asking(access, (backend) => jobs[job](backend, node));
}

/** Asserts that a job is refused, with all these words. */
export async function expectRefused(job: Job, access: Access, ...why: readonly string[]): Promise<void> {
  const refusal = await work(job, access).catch((error: unknown) => error);
  expect(refusal, job).toMatchObject({ code: "BACKEND_DENIED" });
  for (const words of why) expect((refusal as Error).message).toContain(words);
}

/** Asserts that who may do these jobs is refused all others. */
export async function expectRefusedAllBut(may: readonly Job[], access: Access): Promise<void> {
  const others = (Object.keys(jobs) as Job[]).filter((job) => !may.includes(job));
  await asking(access, async (backend) => {
    for (const job of others) {
      await expect(jobs[job](backend), job).rejects.toMatchObject({ code: "BACKEND_DENIED" });
    }
  });
}

/** Starts a registrator of the shared Docker that sees only the containers of `name`. */
export function registrator(at: Access, name: string, args: readonly string[] = []): Promise<Program> {
  const { dockerHost, address } = inject("docker");
  return startProgram(
    "registrator",
    [
      ...["--docker", dockerHost, "--ip", address, "--node", name, "--select", `portolan.rights=${name}`],
      ...["--ttl", "10s", "--resync", "2s", ...args, at.url],
    ],
    at.env,
  );
}

/** Starts a templater that lists the instances of the service `name` and reads all others, and a look at its file. */
export async function templater(
  at: Access,
  name: string,
): Promise<{ readonly program: Program; file(): string }> {
  const dir = join(here, name);
  mkdirSync(dir);
  const list = `{{#each (service "${name}")}}\n{{address}}:{{port}}\n{{/each}}\n{{#each (services)}}\n{{/each}}\n`;
  writeFileSync(join(dir, "list.hbs"), list);
  const destination = join(dir, "list");
  const program = await startProgram(
    "templater",
    ["-t", `${join(dir, "list.hbs")}:${destination}`, at.url],
    at.env,
  );
  return { program, file: () => readFileSync(destination, "utf8") };
}

/** Runs a container that the registrator of `name` registers as the service `name`. */
export function container(name: string): Promise<WebContainer> {
  const labels = { "portolan.rights": name, SERVICE_NAME: name, SERVICE_DRAIN: "1s" };
  return runWeb(dockerCli(inject("docker")), { publish: ["80"], labels });
}

/**
 * Runs a registrator and a templater through the life of a container: started and ended, started again under a second
 * run of the registrator, and by an operator tagged and stopped; the file has to follow each time. `records` looks
 * past the product at what stands there.
 */
export async function expectToWork(of: {
  readonly registrator: Access;
  readonly templater: Access;
  /** Absent where orders are not seen in what the layout holds. */
  readonly operator?: Access;
  /** Whether something is stored of this service. */
  records(service: string): Promise<boolean>;
}): Promise<void> {
  const name = someName();
  const writer = await registrator(of.registrator, name, ["--on-exit", "keep"]);
  const reader = await templater(of.templater, name);
  const web = await container(name);
  const { address, dockerHost } = inject("docker");
  const order = async (...words: readonly string[]) => {
    const { url, env } = of.operator ?? of.registrator;
    const { code, stderr } = await runHere([...words, url], here, env);
    expect(code, stderr).toBe(0);
  };
  try {
    const follows = async (text: string) => {
      await waitFor("the file", () => reader.file() === text, soon);
      await waitFor("records", async () => (await of.records(name)) === (text !== ""), soon);
      for (const program of [writer, reader.program]) await inSync(program);
    };
    await follows(`${address}:${await web.hostPort(80)}\n`);
    await writer.restart();
    await inSync(writer);
    // What is gone when it comes back may have run out: it looks who lives.
    await reader.program.stop();
    await web.stop();
    await waitFor("no record", async () => !(await of.records(name)), soon);
    await reader.program.start();
    await follows("");
    await web.start();
    await follows(`${address}:${await web.hostPort(80)}\n`);
    if (of.operator) {
      await order("tag", `${name}:${web.name}:80`, "+by-hand");
      await order("stop", web.name, "--docker", dockerHost);
      await follows("");
    }
    // It saw who lives each time, so nothing was held; nor was anything of the notes refused.
    expect(reader.program.logTail(10_000)).not.toMatch(/not known who lives|is not told to others/);
    expect(writer.logTail(10_000)).not.toMatch(/overrides (are not reached|that are over)/);
  } finally {
    await Promise.all([web.remove(), writer.stop(), reader.program.stop()]);
  }
}

/**
 * Asserts that a templater which may read the services alone says with all these words what it lacks, when it
 * comes back, an instance has gone meanwhile, and it wants to know whether its host lives.
 */
export async function expectClaimsDenied(of: {
  readonly registrator: Access;
  readonly templater: Access;
  readonly why: readonly string[];
}): Promise<void> {
  const name = someName();
  const writer = await registrator(of.registrator, name);
  const reader = await templater(of.templater, name);
  const web = await container(name);
  try {
    await waitFor("the file", () => reader.file() !== "", soon);
    await reader.program.stop();
    await web.remove();
    await inSync(writer);
    await reader.program.start();
    await expectComplaint(reader.program, "not known who lives", ...of.why);
  } finally {
    await Promise.all([web.remove(), writer.stop(), reader.program.stop()]);
  }
}

/** Asserts that a program logs a warning that begins so, with all these words in its error. */
export async function expectComplaint(
  program: Program,
  about: string,
  ...why: readonly string[]
): Promise<void> {
  await waitFor(
    "the warning",
    () => {
      const lines = program.logTail(10_000).split("\n");
      const warning = lines.find((line) => line.includes(about));
      const { err } = JSON.parse(warning ?? "{}") as { readonly err?: { readonly message: string } };
      if (!why.every((words) => err?.message.includes(words))) throw new Error(warning);
      return true;
    },
    soon,
  );
}

/** Resolves once the program says that it is ready. */
export async function inSync(program: Program): Promise<void> {
  await waitFor(
    "the program to be ready",
    async () => {
      const reasons = await program.notReady();
      if (reasons !== "") throw new Error(reasons);
      return true;
    },
    soon,
  );
}

/** Asserts that a program is not ready, and says why with all these words; it is ended then. */
export async function expectDenied(program: Program, ...why: readonly string[]): Promise<void> {
  try {
    await waitFor(
      "the reason",
      async () => {
        const reasons = await program.notReady();
        if (!why.every((words) => reasons.includes(words))) throw new Error(reasons);
        return true;
      },
      soon,
    );
  } finally {
    await program.stop();
  }
}
