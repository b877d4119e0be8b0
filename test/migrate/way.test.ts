// The way of docs/migrating-from-consul-template.md from its first step to its last, with a real Consul and HAProxy.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { parseStates } from "../../src/templater/reload/haproxy/answers.ts";
import { askOnce } from "../../src/templater/reload/haproxy/cli.ts";
import { runHere, startHere } from "../commands/run-here.ts";
import { startConsul } from "../servers/consul.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { ensureInstalled } from "../servers/install.ts";
import { freePorts } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/migrating-from-consul-template.md"), "utf8");

/** The text of a block, and the commands of the way, where a test can have its own paths and ports. */
const shown = (name: string) =>
  page.split(`\`${name}\`:\n\n\`\`\``)[1]?.split("```")[0]?.replace(/^.*\n/, "") ?? "";
const [, way = ""] = page.split("## The way\n");
const command = (word: string) =>
  new RegExp(`\`portolan (${word} [^\`]*)\``).exec(way)?.[1]?.replaceAll("DIR", "new").split(" ") ?? [];

/** Registers an instance as somebody else than Portolan has. */
function register(
  consul: string,
  { id, service, address, port, tags, meta, node, state }: Instance,
): Promise<void> {
  const body = {
    ...{ Node: node, Address: address, SkipNodeUpdate: false },
    Service: { ID: id, Service: service, Address: address, Port: port, Tags: tags, Meta: meta },
    Check: {
      CheckID: `c:${id}`,
      Name: "up",
      ServiceID: id,
      Status: state === "ready" ? "passing" : "critical",
    },
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${consul}/v1/catalog/register`, { method: "PUT" }, (answer) => {
      answer.resume();
      answer.once("end", () => (answer.statusCode === 200 ? resolve() : reject(new Error("not registered"))));
    });
    sent.once("error", reject);
    sent.end(JSON.stringify(body));
  });
}

it("ends with the file that consul-template has written, and HAProxy follows", async () => {
  const dir = tempDir("way");
  mkdirSync(join(dir, "run"));
  const { haproxy: program } = await ensureInstalled(["haproxy"]);
  const consul = await startConsul();
  onTestFinished(consul.stop);
  const [http = 0, sql = 0] = await freePorts(2);
  const here = (text: string) =>
    text
      .replaceAll("127.0.0.1:8500", `${consul.host}:${consul.port}`)
      .replaceAll(":8080", `127.0.0.1:${http}`)
      .replaceAll(":5433", `:${sql}`)
      .replaceAll("/etc/haproxy/", `${dir}/`)
      .replaceAll("/run/haproxy/", `${dir}/run/`)
      .replaceAll("[haproxy,", `[${program.haproxy},`);
  for (const name of ["haproxy.hcl", "haproxy.ctmpl"]) writeFileSync(join(dir, name), here(shown(name)));
  const instances = JSON.parse(shown("services.json")) as readonly Instance[];
  for (const one of instances) await register(consul.url, one);
  const live = join(dir, "haproxy.cfg");
  const before = here(shown("haproxy.cfg"));
  writeFileSync(live, before);
  const [socket, master] = [join(dir, "run/admin.sock"), join(dir, "run/master.sock")];
  const haproxy = await startHaproxy({ config: live, masterSocket: master });
  onTestFinished(haproxy.stop);

  for (const word of ["migrate", "check", "render"]) {
    // Nothing differs: 0, and nothing is printed.
    const { code, stdout } = await runHere(command(word), dir);
    expect([word, code, word === "render" ? stdout : ""]).toEqual([word, 0, ""]);
  }
  const file = join(dir, "new/portolan.yaml");
  const [, added = ""] = /```yaml\n([\s\S]*?)```/.exec(way) ?? [];
  const lines = added.split("\n").map((line) => `      ${line.trim()}`);
  const turned = readFileSync(file, "utf8");
  expect(turned).toContain("      reload:\n        shell: systemctl reload haproxy\n");
  writeFileSync(file, here(turned.replace(/ {6}reload:\n.*\n/, `${lines.join("\n").trimEnd()}\n`)));

  const templater = startHere(
    [...command("templater"), "--listen", "off", "--log-level", "error", "--state-dir", join(dir, "state")],
    dir,
  );
  onTestFinished(async () => {
    templater.stop();
    await templater.ended;
  });
  const soon = { within: 20_000 };
  const accepted = join(dir, "state/accepted.json");
  await waitFor("the first file", () => readFileSync(accepted, "utf8").includes(live), soon);
  expect(readFileSync(live, "utf8")).toBe(before);

  const one = instances.find(({ service }) => service === "web");
  if (one === undefined) throw new Error("the page has no instance of web");
  await register(consul.url, {
    ...one,
    id: "host3:web-1:80",
    node: "host3",
    address: "10.0.0.3",
    port: 8003,
    meta: {},
  });
  const states = async () =>
    parseStates(await askOnce(socket, "show servers state web", new AbortController().signal));
  await waitFor("the third server", async () => (await states())?.has("web/host3-8003") === true, soon);
  const line = "    server host2-8002 10.0.0.2:8002 check\n";
  expect(readFileSync(live, "utf8")).toBe(
    before.replace(line, `${line}    server host3-8003 10.0.0.3:8003 check\n`),
  );
});
