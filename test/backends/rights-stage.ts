// A registrator and a templater under rights that a test has given them, as a user runs both.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, vi } from "vitest";
import { type Program, portolan, startProgram } from "../e2e/program.ts";
import { dockerCli } from "../servers/docker.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

// Programs and containers come and go in one test, some of them several times.
vi.setConfig({ testTimeout: 180_000 });

/** A backend, seen with somebody's credentials. */
export interface Access {
  readonly url: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** ms; ten times what the product promises, and the start of a program. */
const soon = { within: 30_000 };
let runs = 0;

/** What `portolan acl` prints. */
export async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await portolan(["acl", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** The lines of a text that are no comments, those below `# role` where a role is given. */
export function linesOf(text: string, role?: "registrator" | "templater"): readonly string[] {
  const lines = text.split("\n");
  const from = role === undefined ? 0 : lines.indexOf(`# ${role}`) + 1;
  const rest = lines.slice(from);
  const end = role === undefined ? -1 : rest.findIndex((line) => /^# (registrator|templater)$/.test(line));
  return (end < 0 ? rest : rest.slice(0, end)).filter((line) => line !== "" && !line.startsWith("#"));
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
  const dir = tempDir("rights");
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
  const labels = { "portolan.rights": name, SERVICE_NAME: name };
  return runWeb(dockerCli(inject("docker")), { publish: ["80"], labels });
}

/**
 * Runs a registrator and a templater through the life of a container: started, drained and ended, and started
 * again under a second run of the registrator; the file has to follow each time. At last the registrator takes its
 * records away. `records` looks past the product at what stands there.
 */
export async function expectToWork(of: {
  readonly registrator: Access;
  readonly templater: Access;
  /** Whether something is stored of this service. */
  records(service: string): Promise<boolean>;
}): Promise<void> {
  runs += 1;
  const name = `rights-${process.pid}-${runs}`;
  const writer = await registrator(of.registrator, name, ["--on-exit", "keep"]);
  const reader = await templater(of.templater, name);
  const web = await container(name);
  try {
    const { address } = inject("docker");
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
    await writer.stop();
    const last = await registrator(of.registrator, name, ["--on-exit", "deregister"]);
    await inSync(last);
    await last.stop();
    await waitFor("the end of the records", async () => !(await of.records(name)), soon);
    // It saw who lives each time, so nothing was held.
    expect(reader.program.logTail(10_000)).not.toContain("not known who lives");
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
  runs += 1;
  const name = `claims-${process.pid}-${runs}`;
  const writer = await registrator(of.registrator, name);
  const reader = await templater(of.templater, name);
  const web = await container(name);
  try {
    await waitFor("the file", () => reader.file() !== "", soon);
    await reader.program.stop();
    await web.remove();
    await inSync(writer);
    await reader.program.start();
    await waitFor(
      "the warning",
      () => {
        const warning = reader.program
          .logTail(10_000)
          .split("\n")
          .find((line) => line.includes("not known who lives"));
        const { err } = JSON.parse(warning ?? "{}") as { readonly err?: { readonly message: string } };
        if (!of.why.every((words) => err?.message.includes(words))) throw new Error(warning);
        return true;
      },
      soon,
    );
  } finally {
    await Promise.all([web.remove(), writer.stop(), reader.program.stop()]);
  }
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
