import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { instance, type RegistryFolder, registryFolder } from "../commands/registry-folder.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type Process, startProcess } from "./process.ts";

let dir: string;
let registry: RegistryFolder;
beforeEach(() => {
  dir = tempDir("cli");
  registry = registryFolder(join(dir, "registry"));
  registry.put(instance("web", 80));
  writeFileSync(join(dir, "a.txt.hbs"), '{{#each (service "web")}}\n{{address}}:{{port}}\n{{/each}}\n');
});

const soon = { within: 20_000 };
const read = (name: string) => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), "utf8") : "");
const config = (more = "", destination = "out.txt") =>
  writeFileSync(
    join(dir, "portolan.yaml"),
    `backend: ${registry.url}\ntemplater: { ${more} templates: [{ source: a.txt.hbs, destination: ${destination} }] }\n`,
  );

/** Starts a daemon on a free port and waits until its status pages answer. */
async function daemon(...argv: string[]): Promise<Process & { get(path: string): Promise<Response> }> {
  const started = startProcess([...argv, "--state-dir", "state", "--listen", "127.0.0.1:0"], dir);
  await waitFor(`${argv[0]} to start, saying ${started.stderr()}`, () => read("state/listen"), soon);
  return { ...started, get: (path) => fetch(`http://${read("state/listen").trim()}${path}`) };
}

describe("exit codes", () => {
  it.each<[line: string, code: number, stdout: RegExp, stderr: RegExp]>([
    ["--version", 0, /^\d+\.\d+\.\d+\n$/, /^$/],
    ["services --help", 0, /^portolan services/, /^$/],
    ["registrator --nope", 78, /^$/, /^portolan: USAGE: unknown option "--nope"/],
    ["render -t a.txt.hbs:out.txt file:///DIR/registry", 0, /^10\.0\.0\.1:80\n$/, /^$/],
    ["render --diff -t a.txt.hbs:out.txt file:///DIR/registry", 2, /\+10\.0\.0\.1:80/, /^$/],
  ])("%s", async (line, code, stdout, stderr) => {
    const run = startProcess(line.replace("/DIR", dir).split(" "), dir);
    expect(await run.ended).toBe(code);
    expect(run.stdout()).toMatch(stdout);
    expect(run.stderr()).toMatch(stderr);
  });

  it("--once ends with 0 when the file is written", async () => {
    config();
    const run = startProcess(["templater", "--once", "--state-dir", "state"], dir);
    expect(await run.ended).toBe(0);
    expect(read("out.txt")).toBe("10.0.0.1:80\n");
    // Not a terminal: one JSON object a line.
    for (const line of run.stderr().trim().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({
        level: "info",
        time: expect.any(String),
        msg: expect.any(String),
      });
    }
  });

  it("a given address that is taken is 1", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await waitFor("a server", () => other.listening, soon);
    const { port } = other.address() as { port: number };
    config();
    const run = startProcess(["templater", "--state-dir", "state", "--listen", `127.0.0.1:${port}`], dir);
    expect(await run.ended).toBe(1);
    expect(run.stderr()).toContain(`ADDRESS_IN_USE: 127.0.0.1:${port} is taken`);
    other.close();
  });
});

describe("a daemon", () => {
  it("is ready, shows its status, and leaves with 0 at SIGTERM", async () => {
    config();
    const templater = await daemon("templater");
    await waitFor("readiness", async () => (await templater.get("/readyz")).ok, soon);
    expect((await templater.get("/healthz")).status).toBe(200);
    expect(await (await templater.get("/status")).json()).toMatchObject({
      pid: templater.child.pid,
      notReady: [],
    });
    templater.child.kill("SIGTERM");
    expect(await templater.ended).toBe(0);
  });

  it("holds its state folder alone", async () => {
    config();
    const templater = await daemon("templater");
    const second = startProcess(["templater", "--state-dir", "state"], dir);
    expect(await second.ended).toBe(78);
    expect(second.stderr()).toMatch(new RegExp(`STATE_LOCKED: .*process ${templater.child.pid}`));
  });

  it("takes another address when the default one is taken", async () => {
    config();
    const holder = createServer().listen(7602, "127.0.0.1");
    // Taken by somebody else is as good.
    holder.on("error", () => {});
    const templater = startProcess(["templater", "--state-dir", "state"], dir);
    await waitFor("the address", () => read("state/listen"), soon);
    expect(read("state/listen")).not.toBe("127.0.0.1:7602\n");
    await waitFor(
      "the warning",
      () => templater.stderr().includes("status pages are served on another address"),
      soon,
    );
    holder.close();
  });

  it("reads its config file again at SIGHUP: keeps the old one when it is bad, applies it when it is good", async () => {
    config();
    const templater = await daemon("templater");
    await waitFor("the file", () => read("out.txt"), soon);

    config("nope: 1,");
    templater.child.kill("SIGHUP");
    await waitFor("the complaint", () => templater.stderr().includes("templater.nope"), soon);
    registry.put(instance("web", 81));
    await waitFor("the old configuration at work", () => read("out.txt").includes(":81"), soon);

    config("", "other.txt");
    templater.child.kill("SIGHUP");
    await waitFor("the new file", () => read("other.txt").includes(":81"), soon);
    await waitFor("readiness", async () => (await templater.get("/readyz")).ok, soon);
    expect(templater.child.exitCode).toBeNull();
  });

  it("heeds a SIGHUP that comes while it starts", async () => {
    config();
    const templater = startProcess(["templater", "--state-dir", "state", "--listen", "off"], dir);
    const status = `/proc/${templater.child.pid}/status`;
    const caught = () =>
      Number.parseInt(/^SigCgt:\s*(\w+)/m.exec(readFileSync(status, "utf8"))?.[1] ?? "0", 16);
    await waitFor("it to catch SIGHUP", () => caught() % 2 === 1, { within: 20_000, every: 1 });
    templater.child.kill("SIGHUP");
    await waitFor("an answer", () => templater.stderr().includes("configuration read again"), soon);
    templater.child.kill("SIGTERM");
    expect(await templater.ended).toBe(0);
  });

  it("reads its templates again at SIGHUP", async () => {
    config();
    const templater = await daemon("templater");
    await waitFor("the file", () => read("out.txt"), soon);
    writeFileSync(join(dir, "a.txt.hbs"), "edited\n");
    templater.child.kill("SIGHUP");
    await waitFor("the edit", () => read("out.txt") === "edited\n", soon);
  });

  it("B1 does not end because there is no Docker", async () => {
    const registrator = await daemon("registrator", "--docker", `unix://${dir}/no.sock`, registry.url);
    const answer = await waitFor(
      "the reason",
      async () => {
        const text = await (await registrator.get("/readyz")).text();
        return text.includes("no.sock") && text;
      },
      soon,
    );
    expect(answer).toContain("Docker");
    expect((await registrator.get("/healthz")).status).toBe(200);
    registrator.child.kill("SIGINT");
    expect(await registrator.ended).toBe(0);
  });

  it("T3 an agent on its own memory writes nothing before it has seen Docker", async () => {
    writeFileSync(join(dir, "out.txt"), "the last good file\n");
    const agent = await daemon("agent", "--docker", `unix://${dir}/no.sock`, "-t", "a.txt.hbs:out.txt");
    const reasons = ["no.sock", "out.txt: waits for service web"];
    await waitFor(
      "what is missing",
      async () => {
        const said = await (await agent.get("/readyz")).text();
        return reasons.every((reason) => said.includes(reason));
      },
      soon,
    );
    expect(read("out.txt")).toBe("the last good file\n");
    agent.child.kill("SIGTERM");
    expect(await agent.ended).toBe(0);
  });
});

describe("the log", () => {
  it("says at debug level what registrator's old options no longer do, and shows no password", async () => {
    const argv = [
      "-cleanup",
      "-log-level",
      "debug",
      "-docker",
      `unix://${dir}/no.sock`,
      "-log-format",
      "pretty",
    ];
    const registrator = await daemon("registrator", ...argv, registry.url);
    expect(registrator.stderr()).toMatch(/^\d\d:\d\d:\d\d\.\d{3} DEBUG -cleanup has no effect/m);
    const refused = startProcess(["registrator", "etcd://me:secret@h"], dir);
    expect(await refused.ended).toBe(78);
    expect(refused.stderr()).not.toContain("secret");
  });
});
