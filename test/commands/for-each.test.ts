// The commands on a target that has a file for each service.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, registryFolder } from "./registry-folder.ts";
import { runHere, templaterHere } from "./run-here.ts";

const soon = { within: 20_000 };

function createPlace() {
  const dir = tempDir("commands-each");
  const registry = registryFolder(join(dir, "registry"));
  const folder = join(dir, "conf.d");
  mkdirSync(folder);
  writeFileSync(
    join(dir, "site.nginx.hbs"),
    "{{name}}:{{#each instances}} {{port}}{{/each}}{{#each tags}} {{this}}{{/each}}\n",
  );
  const config = {
    backend: registry.url,
    stateDir: join(dir, "state"),
    templater: {
      minInterval: "1ms",
      templates: [
        {
          source: "site.nginx.hbs",
          destination: "conf.d/{{name}}.conf",
          forEach: "services",
          guard: { hold: "0s" },
          check: ["test", "-s", "{{src}}"],
          reload: { shell: `cat ${folder}/*.conf > ${join(dir, "running")}` },
        },
      ],
    },
  };
  writeFileSync(join(dir, "portolan.yaml"), JSON.stringify(config));
  return {
    dir,
    folder,
    config,
    put: (service: string, port: number) => registry.put(instance(service, port)),
    drop: (service: string) => rmSync(join(dir, "registry", "services", service), { recursive: true }),
    files: () => readdirSync(folder).filter((name) => !name.startsWith(".")),
    read: (name: string) => readFileSync(join(folder, name), "utf8"),
    running: () => {
      const file = join(dir, "running");
      return existsSync(file) ? readFileSync(file, "utf8") : "";
    },
    run: (...argv: string[]) => runHere(argv, dir, process.env),
    start: () => templaterHere(dir),
  };
}

it("check, render, its diff, a dry run, the journal and a rollback know all of its files", async () => {
  const place = createPlace();
  const { folder, run } = place;
  place.put("api", 81);
  place.put("web", 80);
  expect(await run("check")).toMatchObject({ code: 0 });
  const rendered = `==> ${folder}/api.conf <==\napi: 81\n\n==> ${folder}/web.conf <==\nweb: 80\n`;
  expect(await run("render")).toMatchObject({ code: 0, stdout: rendered });
  const diff = await run("render", "--diff");
  expect([diff.code, diff.stdout.match(/^\+\w.*$/gm)]).toEqual([2, ["+api: 81", "+web: 80"]]);
  expect(place.files()).toEqual([]);

  const stop = place.start();
  await waitFor("the files", () => place.running() === "api: 81\nweb: 80\n", soon);
  await stop();
  expect(await run("render", "--diff")).toMatchObject({ code: 0, stdout: "" });
  writeFileSync(join(folder, "mine.conf"), "mine\n");
  place.drop("api");
  place.put("db", 5432);
  for (const argv of [
    ["render", "--diff"],
    ["templater", "--dry-run", "--once"],
  ]) {
    const { stdout } = await run(...argv);
    expect(stdout.match(/^[+-]\w.*$/gm)?.sort()).toEqual(["+db: 5432", "-api: 81"]);
    expect(stdout).toContain("+++ /dev/null");
  }
  expect(place.files()).toEqual(["api.conf", "mine.conf", "web.conf"]);

  const again = place.start();
  await waitFor("the change", () => place.running() === "db: 5432\nmine\nweb: 80\n", soon);
  const isTold = async () => (await run("journal", "--diff")).stdout.includes("-api: 81");
  await waitFor("the journal", isTold, soon);
  // Back, by a file's own name: what came goes, and what went comes back.
  const back = await run("rollback", "conf.d/web.conf");
  expect(back).toMatchObject({ code: 0 });
  expect(place.running()).toBe("api: 81\nmine\nweb: 80\n");
  expect(place.files()).toEqual(["api.conf", "mine.conf", "web.conf"]);
  await again();
  expect((await run("rollback", "conf.d/{{name}}.conf", "--release")).code).toBe(0);
  place.start();
  await waitFor("the change again", () => place.running() === "db: 5432\nmine\nweb: 80\n", soon);
});

it("the example of docs/templates.md checks each file with nginx", async () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/templates.md"), "utf8");
  const [, yaml = ""] = /^## A file for each service\n[\s\S]*?```yaml\n([\s\S]*?)```/m.exec(page) ?? [];
  const { nginx } = await ensureInstalled(["nginx"]);
  const place = createPlace();
  const { dir, folder } = place;
  const config = yaml
    .replaceAll("/etc/nginx/conf.d", folder)
    .replaceAll("nginx -t", `${nginx.nginx} -t -e stderr -g 'pid ${dir}/pid;'`)
    .replaceAll("/run/site.conf", `${dir}/site.conf`)
    .replace(/reload: .*/, "reload: none");
  const templater = parse(config);
  writeFileSync(join(dir, "portolan.yaml"), JSON.stringify({ ...place.config, templater }));
  place.put("web", 80);
  const site = "server { listen 127.0.0.1:1; server_name {{name}}; }\n";
  writeFileSync(join(dir, "site.nginx.hbs"), site);
  place.start();
  const expected = site.replace("{{name}}", "web");
  await waitFor("the file", () => place.read("svc-web.conf") === expected, soon);
  writeFileSync(join(dir, "site.nginx.hbs"), site.replace("listen", "lissen"));
  const isTold = async () => (await place.run("journal")).stdout.includes('unknown directive "lissen"');
  await waitFor("the refusal", isTold, soon);
  expect(place.read("svc-web.conf")).toBe(expected);
});
