// What `portolan acl etcd` prints is run by a shell, and is enough; each line of it is needed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../src/doctor/finding.ts";
import { runHere } from "../commands/run-here.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import {
  type Access,
  expectClaimsDenied,
  expectDenied,
  expectRefused,
  expectRefusedAllBut,
  expectToWork,
  printed,
  type Role,
  registrator,
  roles,
  rulesAtNeed,
  rulesOf,
  work,
} from "./rights-stage.ts";

let server: Etcd;
let env: Record<string, string>;
const passwordFile = join(tempDir("etcd-rights"), "password");

beforeAll(async () => {
  await ensureInstalled(["etcdctl"]);
  server = await startEtcd();
  env = { ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: server.url };
  writeFileSync(passwordFile, "secret\n");
  await run(["user add root:secret", "role add root", "user grant-role root root", "auth enable"]);
  env = { ...env, ETCDCTL_USER: "root:secret" };
});
afterAll(() => server?.stop());

/** Runs commands in a shell; what is printed says `etcdctl` itself. */
async function run(commands: readonly string[]): Promise<void> {
  const lines = commands.map((line) => (line.startsWith("etcdctl ") ? line : `etcdctl ${line}`));
  await exec("sh", ["-e", "-c", lines.join("\n")], { env });
}
const urlOf = (place: string) => `etcd://127.0.0.1:${server.port}${place}`;

describe.each([
  ["portolan", "/acl", "/acl/services/"],
  ["registrator", "/flat?layout=registrator", "/flat/"],
  ["skydns", "/acl.local?layout=skydns", "/skydns/local/acl/"],
])("etcd: the rights of the layout %s", (layout, place, services) => {
  let text: string;
  /** Of a user that has this role alone. */
  const as = (role: Role): Access => ({
    url: `${urlOf(place)}${place.includes("?") ? "&" : "?"}user=${role}-${layout}&password-file=${passwordFile}`,
  });
  /** In commands for a role of this layout alone. */
  const ours = (command: string) => command.replace(/portolan-\w+/, `$&-${layout}`);

  beforeAll(async () => {
    text = await printed("etcd", urlOf(place));
    await run(rulesOf(text).map(ours));
    await run(
      roles.flatMap((role) => [
        `user add ${role}-${layout}:secret`,
        `user grant-role ${role}-${layout} portolan-${role}-${layout}`,
      ]),
    );
  });

  it("are enough, and for nothing else", async () => {
    for (const role of roles) {
      await work(role, as(role));
      await expectRefusedAllBut([role], as(role));
    }
  });

  it.skipIf(layout === "registrator")("are all needed", async () => {
    for (const role of roles) {
      const grants = rulesOf(text, role).filter((line) => line.includes("grant-permission"));
      for (const grant of grants) {
        const [, prefix = ""] = / --prefix=true (\S+)$/.exec(grant) ?? [];
        await run([`role revoke-permission portolan-${role}-${layout} --prefix=true ${prefix}`]);
        await expectRefused(
          role,
          as(role),
          "permission denied: the user needs ",
          prefix,
          "portolan acl etcd",
        );
        await run([ours(grant)]);
      }
    }
  });

  it.runIf(layout === "portolan")("are looked at by the doctor, turns to reload included", async () => {
    const dir = tempDir("doctor");
    const entry = { source: "a.hbs", destination: "a", reloadTurns: { name: "edge" } };
    writeFileSync(join(dir, "a.hbs"), "x");
    writeFileSync(join(dir, "portolan.yaml"), JSON.stringify({ templater: { templates: [entry] } }));
    const { stdout } = await runHere(["doctor", "--json", as("templater").url], dir);
    const found = JSON.parse(stdout) as readonly Finding[];
    const [, , turns] = found.filter(({ about }) => about.startsWith("backend "));
    expect(turns).toMatchObject({
      level: "warning",
      found: expect.stringContaining("/acl/locks/reload%2Fedge%2Fdoctor"),
      means: expect.stringContaining("several may do so at once"),
      wayOut: expect.stringContaining("portolan acl etcd"),
    });
  });

  it("say what elections, keys in templates, turns and healing need besides", async () => {
    await run(rulesAtNeed(text).map((line) => ours(line).replace("KEYS", "rights/")));
    await work("elections", as("registrator"));
    await work("keys", as("templater"));
    await work("elections", as("templater"));
    await work("healing", as("operator"));
  });

  it.runIf(layout === "portolan")("let a registrator and a templater work", async () => {
    await expectToWork({
      registrator: as("registrator"),
      templater: as("templater"),
      operator: as("operator"),
      records: async (service) => {
        const below = await exec("etcdctl", ["get", "--prefix", "--keys-only", services], { env });
        return below.includes(`${services}${service}/`);
      },
    });
  });

  it.runIf(layout === "portolan")("are named by each program that lacks one", async () => {
    const why = ["permission denied: the user needs ", "portolan acl etcd"];
    await expectDenied(await registrator(as("operator"), "lacking"), ...why, "/acl/nodes/lacking");
    const nodes = `--prefix=true ${services.replace("services", "nodes")}`;
    await run([`role revoke-permission portolan-templater-${layout} ${nodes}`]);
    await expectClaimsDenied({ registrator: as("registrator"), templater: as("templater"), why });
  });
});

it("etcd: with --node the claim of this host is all that a registrator may write beside the services", async () => {
  for (const place of ["/one", "/one.local?layout=skydns"]) {
    const name = place.includes("?") ? "one-flat" : "one";
    const rules = rulesOf(await printed("etcd", urlOf(place), "--node", "host1"), "registrator");
    await run(rules.map((line) => line.replace("portolan-registrator", name)));
    await run([`user add ${name}:secret`, `user grant-role ${name} ${name}`]);
    const url = `${urlOf(place)}${place.includes("?") ? "&" : "?"}user=${name}&password-file=${passwordFile}`;
    await work("registrator", { url }, "host1");
    await expect(work("registrator", { url }, "host2")).rejects.toMatchObject({
      code: "BACKEND_DENIED",
      message: expect.stringContaining("nodes/host2") as string,
    });
  }
});
