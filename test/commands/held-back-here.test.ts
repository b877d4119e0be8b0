import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { explanationText } from "../../src/commands/explanation-text.ts";
import type { Explanation } from "../../src/registrator/explain.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, registryFolder } from "./registry-folder.ts";
import { runHere, startHere } from "./run-here.ts";

const soon = { within: 20_000 };

/** A folder with a configuration, a registry and a token, and what `render --explain` says there. */
function createPlace() {
  const dir = tempDir("held-back");
  const registry = registryFolder(join(dir, "registry"));
  const destination = join(dir, "out.txt");
  const templates = [{ source: "a.hbs", destination, check: { shell: "! grep '60001$' {{src}}" } }];
  const own = { listen: "127.0.0.1:0", listenTokenFile: "token", stateDir: "state", templates };
  const configure = (more: object = {}) =>
    writeFileSync(
      join(dir, "portolan.yaml"),
      JSON.stringify({ backend: registry.url, templater: { ...own, ...more } }),
    );
  configure();
  writeFileSync(join(dir, "token"), "t0k3n");
  writeFileSync(
    join(dir, "a.hbs"),
    "{{#each (services)}}{{#each instances}}{{service}} {{port}}\n{{/each}}{{/each}}",
  );
  return {
    dir,
    destination,
    configure,
    put: (service: string, port: number) => registry.put(instance(service, port, { id: service })),
    live: () => (existsSync(destination) ? readFileSync(destination, "utf8") : ""),
    start() {
      const templater = startHere(["templater"], dir, process.env);
      onTestFinished(async () => {
        templater.stop();
        await templater.ended;
      });
    },
    explain: (...more: string[]) => runHere(["render", "--explain", ...more], dir, process.env),
  };
}

it("render --explain says what a templater that runs here holds back, and why", async () => {
  const place = createPlace();
  place.put("api", 80);
  place.put("web", 81);
  expect((await place.explain()).stdout).not.toContain("held back");
  place.start();
  await waitFor("the file", () => place.live() === "api 80\nweb 81\n", soon);
  place.put("api", 82);
  place.put("web", 60_001);
  await waitFor("the rest", () => place.live() === "api 82\nweb 81\n", soon);
  // Where the first came alone, so did the second, and nobody searched.
  place.put("api", 83);
  const told = async () => (await place.explain()).stdout.includes("held back");
  await waitFor("what is held back", told, soon);
  const { stdout, stderr } = await place.explain();
  expect(stdout).toMatch(/^ {2}held back {3}web: .*60001/m);
  expect(stdout).not.toContain("held back   api");
  expect(stderr).toBe("");

  // One who cannot ask is told so.
  writeFileSync(join(place.dir, "other"), "another");
  const refused = await place.explain("--listen-token-file", join(place.dir, "other"));
  expect(refused).toMatchObject({ code: 0, stdout: expect.not.stringContaining("held back") });
  expect(refused.stderr).toMatch(/^not known what is held back by process \d+ .* name its file with/);
});

it("a templater that cannot be asked is told of, and one that is away is not", async () => {
  const place = createPlace();
  place.put("web", 80);
  const state = await openStateDir(join(place.dir, "state"));
  const closed = `127.0.0.1:${await freePort()}`;
  for (const [listen, why] of [
    ["off", "start it without --listen off"],
    [closed, "ECONNREFUSED"],
  ] as const) {
    await state.write("listen", listen);
    const { code, stderr } = await place.explain();
    expect([code, stderr]).toEqual([0, expect.stringContaining(why)]);
  }
  await state.close();
  expect(await place.explain()).toMatchObject({ code: 0, stderr: "" });
});

it("an explanation says what of it does not show, and hides no character", () => {
  const explanation: Explanation = {
    container: { id: "c".repeat(64), name: "web-1", image: "web", state: "running" },
    ...{ node: "n1", rules: "portolan", hostAddress: "10.0.0.5" },
    ...{ instances: [], notRegistered: [], remarks: [] },
  };
  const why = `no such balance ${"x".repeat(100)}\u001b[2J`;
  const heldBack = [{ destination: "/etc/haproxy/haproxy.cfg", service: "web", why }];
  const lines = explanationText(explanation, { heldBack, unknown: ["process 7 (/s): off"] }).split("\n");
  expect(lines).toContain("Held back:");
  expect(lines).toContain(
    `  /etc/haproxy/haproxy.cfg has web as it was, because its check refuses it now: no such balance ${"x".repeat(100)}\\u{1b}[2J`,
  );
  expect(lines).toContain("Not known: what is held back by process 7 (/s): off");
});
