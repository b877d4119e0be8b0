import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { runHere } from "../commands/run-here.ts";
import { type Program, startProgram } from "../e2e/program.ts";
import { dockerCli } from "../servers/docker.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

/** Ten times what the slowest of it takes. */
const soon = { within: 30_000 };

/** Secrets by where they stand; each is a text that nothing else holds. */
const canaries = new Map<string, string>();
function canary(place: string): string {
  const text = `canary-${canaries.size}-${process.pid}x`;
  canaries.set(place, text);
  return text;
}

/** What somebody could read, by where. */
const seen = new Map<string, string>();

const dir = tempDir("canaries");
const write = (name: string, text: string, mode = 0o600) => {
  writeFileSync(join(dir, name), text, { mode });
  return join(dir, name);
};
/** A file with a secret. */
const secretFile = (name: string) => write(name, `${canary(`file ${name}`)}\n`);

const ofContainer = {
  DB_PASSWORD: canary("environment of a container, rendered"),
  OTHER_TOKEN: canary("environment of a container"),
};
const ofProcess = {
  LB_PASSWORD: canary("environment, rendered"),
  AMBIENT_SECRET: canary("environment"),
  CONSUL_HTTP_TOKEN: canary("environment, of a client"),
};
const header = canary("header of a check");
const listenToken = canary("token of the status pages");
const key = canary("key, rendered");
const url = `consul://${inject("consul").host}:${inject("consul").port}?token-file=${secretFile("consul-token")}`;
const target = join(dir, "lb.cfg");
const state = join(dir, "state");
const template = [
  '{{env "LB_PASSWORD"}} {{trim (file "password")}} {{key "canaries/secret"}}',
  '{{#each (containers label="portolan.canary")}}{{name}} {{env.DB_PASSWORD}}{{/each}}',
  '{{#each (service "canary" state="any")}}server {{address}}:{{port}}{{/each}}\n',
].join("\n");

let container: WebContainer;
let agent: Program;
beforeAll(async () => {
  const { host, port } = inject("consul");
  await fetch(`http://${host}:${port}/v1/kv/canaries/secret`, { method: "PUT", body: key });
  container = await runWeb(dockerCli(inject("docker")), {
    name: `canary-${process.pid}`,
    publish: ["80"],
    labels: {
      "portolan.canary": "1",
      SERVICE_NAME: "canary",
      SERVICE_ROLE: "redis",
      SERVICE_CHECK_HTTP: "/",
      SERVICE_CHECK_HEADER: `Authorization: Bearer ${header}`,
    },
    env: ofContainer,
  });
  secretFile("password");
  write("lb.cfg.hbs", template);
  const reload = "env; cat lb.cfg; test ! -e reload-fails";
  const check = ["/bin/sh", "-c", "if grep -q broken {{src}}; then cat {{src}} >&2; exit 1; fi"];
  const templates = [
    { source: "lb.cfg.hbs", destination: target, check, reload: { shell: `cd ${dir}; ${reload}` } },
  ];
  write("portolan.yaml", JSON.stringify({ templater: { templates, minInterval: "50ms" } }));
  agent = await startProgram(
    "agent",
    [
      ...[
        "-c",
        join(dir, "portolan.yaml"),
        "--node",
        "canaries",
        "--select",
        "portolan.canary=1",
        "--ip",
        "10.0.0.1",
      ],
      ...[
        "--docker",
        inject("docker").dockerHost,
        "--probe-credentials",
        `redis=:${secretFile("redis-password")}`,
      ],
      ...["--state-dir", state, "--listen-token-file", write("listen-token", listenToken), url],
    ],
    ofProcess,
  );
}, 60_000);
afterAll(async () => {
  await agent?.stop();
  await container?.remove();
});

/** What the daemon shows at a path, to those who may see it. */
async function shown(path: string): Promise<string> {
  const answer = await fetch(`${agent.url}${path}`, { headers: { authorization: `Bearer ${listenToken}` } });
  if (path !== "/events") return answer.text();
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  const first = (await reader?.read())?.value ?? "";
  await reader?.cancel();
  return first;
}

/** Takes note of all that the daemon shows now. */
async function look(when: string): Promise<void> {
  for (const path of ["/status", "/metrics", "/", "/events", "/readyz"])
    seen.set(`${when}: ${path}`, await shown(path));
}

const reason = async () => JSON.stringify(JSON.parse(await shown("/status")).templater.targets);
const becomes = (what: string, holds: (text: string) => boolean) =>
  waitFor(what, () => existsSync(target) && holds(readFileSync(target, "utf8")), soon);

/** Runs a command and takes note of what it says. */
async function command(words: readonly string[], code: number): Promise<string> {
  const env = { PATH: process.env.PATH, ...ofProcess };
  const ended = await runHere([...words, "--log-level", "debug"], dir, env);
  const text = `${ended.stdout}${ended.stderr}`;
  expect([words, ended.code, text]).toEqual([words, code, expect.stringMatching(/./)]);
  seen.set(words.join(" "), text);
  return text;
}

it("no secret is told by anything but the file that the operator's template writes it to", async () => {
  const rendered = [
    "environment of a container, rendered",
    "environment, rendered",
    "file password",
    "key, rendered",
  ];
  const inFile = (text: string) => rendered.every((place) => text.includes(canaries.get(place) ?? "?"));
  await becomes("the secrets in the file", inFile);
  await waitFor("all to be applied", async () => (await shown("/readyz")) === "ready\n", soon);
  await look("in sync");

  write("lb.cfg.hbs", `${template}broken\n`);
  await waitFor("a check that fails", async () => /CHECK_FAILED.*broken/.test(await reason()), soon);
  await look("refused by the check");

  write("reload-fails", "");
  write("lb.cfg.hbs", `${template}# changed\n`);
  await waitFor(
    "a reload that fails",
    async () => /RELOAD_FAILED.*PORTOLAN_REVISION/.test(await reason()),
    soon,
  );
  await look("refused by the reload");

  const exchanged = canary("file password, exchanged");
  write("password", exchanged);
  rmSync(join(dir, "reload-fails"));
  await becomes("the secret that took its place", (text) => text.includes(exchanged));
  await waitFor("all to be applied", async () => (await shown("/readyz")) === "ready\n", soon);
  await look("in sync again");

  const config = ["-c", join(dir, "portolan.yaml")];
  const docker = ["--docker", inject("docker").dockerHost];
  const unused = `127.0.0.1:${await freePort()}`;
  expect(await command(["journal", "--json", "--state-dir", state], 0)).toContain('"diff"');
  expect(await command(["journal", "--diff", "--state-dir", state], 0)).toContain("+++ ");
  await agent.stop();
  write("plain.hbs", `${template.split("\n")[0]}\n# now\n`);
  write("plain", `${ofProcess.LB_PASSWORD} ${canaries.get("file password")} ${key}\n# then\n`);
  expect(await command(["render", "--diff", "-t", "plain.hbs:plain", url], 2)).toContain("+# now");
  await command(["services", "--json", url], 0);
  await command(["explain", container.name, "--json", ...docker, "--ip", "10.0.0.1"], 0);
  await command(["explain", container.name, ...docker, "--ip", "10.0.0.1"], 0);
  await command(
    ["config", "show", "agent", ...config, url, "--probe-credentials", `redis=:${join(dir, "password")}`],
    0,
  );
  await command(["check", ...config], 0);

  // What goes wrong: credentials in URLs, in files, in environments; servers that want others, or are away.
  const inUrl = canary("password in a URL");
  const own = ["ca", "cert", "key"].map((name) => `${name}=${secretFile(`${name}.pem`)}`).join("&");
  for (const wrong of [
    `etcd://me:${inUrl}@${unused}`,
    `etcd://${unused}?password=${inUrl}`,
    `consul://${unused}?token=${inUrl}`,
    `zookeeper+tls://${unused}?${own}`,
  ])
    await command(["services", wrong], 78);
  const etcdAt = `${inject("etcd").host}:${inject("etcd").port}`;
  const etcd = `etcd://${etcdAt}/canaries`;
  const withPassword = `${etcd}?user=me&password-file=${secretFile("etcd-password")}`;
  const hook = `http://me:${canary("password in the URL of a reload")}@${etcdAt}/?token=${canary("token in the URL of a reload")}`;
  const templates = [
    { source: "lb.cfg.hbs", destination: join(dir, "other"), reload: { http: { url: hook } } },
  ];
  write("other.yaml", JSON.stringify({ templater: { templates } }));
  await command(["doctor", "--json", ...docker, "-c", join(dir, "other.yaml"), withPassword], 1);
  await command(["doctor", ...docker, ...config, "--listen-token-file", join(dir, "listen-token"), url], 0);
  const once = ["templater", "--once", "-c", join(dir, "other.yaml"), "--state-dir", join(dir, "once"), etcd];
  await command(["config", "show", "templater", ...once.slice(2)], 0);
  const old = `consul { address = "a:1" token = "${canary("token to migrate")}" auth { username = "u" password = "${canary("password to migrate")}" } }
vault { token = "${canary("token of Vault to migrate")}" }
template { source = "a.ctmpl" destination = "b" command = "true" }`;
  await command(["migrate", "consul-template", write("old.hcl", old)], 0);

  const log = readFileSync(agent.logFile, "utf8");
  seen.set("log", log);
  for (const event of ["CHECK_FAILED", "RELOAD_FAILED", "applied", "role"]) expect(log).toContain(event);
  for (const name of readdirSync(state, { recursive: true, encoding: "utf8" }))
    if (/^journal/.test(name)) seen.set(`state folder: ${name}`, readFileSync(join(state, name), "utf8"));

  expect(seen.size).toBeGreaterThan(35);
  for (const [where, text] of seen) {
    expect([where, text.length]).toEqual([where, expect.toSatisfy((length: number) => length > 2)]);
    for (const [place, secret] of canaries)
      for (const written of [secret, Buffer.from(secret).toString("base64").slice(0, 20)])
        expect(text.includes(written) ? `${where} tells ${place}: ${around(text, written)}` : "").toBe("");
  }
}, 120_000);

const around = (text: string, part: string) =>
  text.slice(Math.max(0, text.indexOf(part) - 200), text.indexOf(part) + 60);
