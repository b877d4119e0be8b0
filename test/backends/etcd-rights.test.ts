// What `portolan acl etcd` prints is run by a shell, and is enough; each line of it is needed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import {
  type Access,
  container,
  expectClaimsDenied,
  expectDenied,
  expectToWork,
  inSync,
  linesOf,
  printed,
  registrator,
  templater,
} from "./rights-stage.ts";

let server: Etcd;
let env: Record<string, string>;
const passwordFile = join(tempDir("etcd-rights"), "password");
let users = 0;

beforeAll(async () => {
  await ensureInstalled(["etcdctl"]);
  server = await startEtcd();
  env = { ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: server.url };
  writeFileSync(passwordFile, "secret\n");
  await etcdctl("user", "add", "root:secret");
  await etcdctl("role", "add", "root");
  await etcdctl("user", "grant-role", "root", "root");
  await etcdctl("auth", "enable");
  env = { ...env, ETCDCTL_USER: "root:secret" };
});
afterAll(() => server?.stop());

const etcdctl = (...args: string[]) => exec("etcdctl", args, { env });
const urlOf = (place: string) => `etcd://127.0.0.1:${server.port}${place}`;

/** A new user with a role of this name. */
async function withRole(role: string, place: string): Promise<Access> {
  users += 1;
  const user = `user${users}`;
  await etcdctl("user", "add", `${user}:secret`);
  await etcdctl("user", "grant-role", user, role);
  const query = `user=${user}&password-file=${passwordFile}`;
  return { url: `${urlOf(place)}${place.includes("?") ? "&" : "?"}${query}` };
}

/** Runs commands of etcdctl in a shell, for roles of other names. */
async function run(commands: readonly string[], suffix: string): Promise<void> {
  const script = commands.join("\n").replaceAll(/portolan-(registrator|templater)/g, `$&${suffix}`);
  await exec("sh", ["-e", "-c", script], { env });
}

describe.each([
  ["portolan", "/acl", "/acl/services/"],
  ["registrator", "/flat?layout=registrator", "/flat/"],
  ["skydns", "/acl.local?layout=skydns", "/skydns/local/acl/"],
])("etcd: the rights of the layout %s", (layout, place, services) => {
  let text: string;
  beforeAll(async () => {
    text = await printed("etcd", urlOf(place));
  });

  it("let a registrator and a templater work", async () => {
    await run(linesOf(text), `-${layout}`);
    await expectToWork({
      registrator: await withRole(`portolan-registrator-${layout}`, place),
      templater: await withRole(`portolan-templater-${layout}`, place),
      records: async (service) =>
        (await etcdctl("get", "--prefix", "--keys-only", services)).includes(`${services}${service}/`),
    });
  });

  it.skipIf(layout === "registrator")("are all needed", async () => {
    for (const role of ["registrator", "templater"] as const) {
      const lines = linesOf(text, role);
      const grants = lines.filter((line) => line.includes("grant-permission"));
      for (const [at, without] of grants.entries()) {
        const suffix = `-${layout}-without-${at}`;
        await run(
          lines.filter((line) => line !== without),
          suffix,
        );
        const access = await withRole(`portolan-${role}${suffix}`, place);
        const prefix = without.split(" ").at(-1) ?? "";
        if (role === "templater" && prefix.endsWith("/nodes/")) {
          const writer = await withRole(`portolan-registrator-${layout}`, place);
          const why = ["permission denied: the user needs ", prefix, "portolan acl etcd"];
          await expectClaimsDenied({ registrator: writer, templater: access, why });
          continue;
        }
        const name = `denied-${layout}-${at}`;
        const web = await container(name);
        const program =
          role === "registrator" ? await registrator(access, name) : (await templater(access, name)).program;
        await expectDenied(
          program,
          "permission denied: the user needs ",
          prefix,
          "portolan acl etcd",
        ).finally(() => web.remove());
      }
    }
  });
});

it("etcd: with --node the claim of this host is all that a registrator may write beside the services", async () => {
  for (const place of ["/one", "/one.local?layout=skydns"]) {
    const suffix = place.includes("?") ? "-one-flat" : "-one";
    await run(linesOf(await printed("etcd", urlOf(place), "--node", "host1"), "registrator"), suffix);
    const access = await withRole(`portolan-registrator${suffix}`, place);
    await expectDenied(await registrator(access, "host2"), "BACKEND_DENIED", "nodes/host2");
    const own = await registrator(access, "host1");
    const web = await container("host1");
    await inSync(own).finally(() => Promise.all([own.stop(), web.remove()]));
  }
});
