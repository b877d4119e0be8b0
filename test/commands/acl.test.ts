// What `portolan acl` prints. That it is enough and no more is held by test/backends/*-rights.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Outcome, runHere } from "./run-here.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-acl-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const acl = (line: string, env: Record<string, string> = {}): Promise<Outcome> =>
  runHere(["acl", ...line.split(" ").filter(Boolean)], dir, env);
/** What is no comment. */
const rules = async (line: string, env: Record<string, string> = {}): Promise<readonly string[]> => {
  const { code, stdout, stderr } = await acl(line, env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.split("\n").filter((text) => text !== "" && !text.startsWith("#"));
};
const role = (name: string, ...permissions: readonly string[]) => [
  `etcdctl role add portolan-${name}`,
  ...permissions.map((permission) => `etcdctl role grant-permission portolan-${name} ${permission}`),
];

const ofTemplaters = [
  'service_prefix "" { policy = "read" }',
  'node_prefix "" { policy = "read" }',
  'session_prefix "" { policy = "write" }',
  'key_prefix "portolan/templaters/" { policy = "write" }',
];

it("prints what a person can read, and how to apply it", async () => {
  expect((await acl("consul")).stdout).toBe(
    [
      "# The least rights at consul://127.0.0.1:8500, as rules of Consul's ACL. For each role a policy and a token:",
      "#   portolan acl registrator consul://127.0.0.1:8500 | consul acl policy create -name portolan-registrator -rules -",
      "#   consul acl token create -policy-name portolan-registrator",
      "#   portolan acl templater consul://127.0.0.1:8500 | consul acl policy create -name portolan-templater -rules -",
      "#   consul acl token create -policy-name portolan-templater",
      "#   portolan acl operator consul://127.0.0.1:8500 | consul acl policy create -name portolan-operator -rules -",
      "#   consul acl token create -policy-name portolan-operator",
      "",
      "# registrator",
      'service_prefix "" { policy = "write" }',
      'node_prefix "" { policy = "read" }',
      'key_prefix "portolan/overrides/" { policy = "write" }',
      "# Where containers have SERVICE_ROLE=elect, also:",
      '# key_prefix "portolan/locks/" { policy = "write" }',
      '# session_prefix "" { policy = "write" }',
      "",
      "# templater",
      'service_prefix "" { policy = "read" }',
      'node_prefix "" { policy = "read" }',
      'session_prefix "" { policy = "write" }',
      'key_prefix "portolan/templaters/" { policy = "write" }',
      "# Where templates read keys, also, for what they read:",
      '# key_prefix "" { policy = "read" }',
      "# Where reloads take turns, also:",
      '# key_prefix "portolan/locks/" { policy = "write" }',
      "",
      "# operator",
      'service_prefix "" { policy = "read" }',
      'node_prefix "" { policy = "read" }',
      'key_prefix "portolan/overrides/" { policy = "write" }',
      'key_prefix "portolan/templaters/" { policy = "read" }',
      "# Where `expect --heal` is used, also:",
      '# key_prefix "portolan/heal/" { policy = "write" }',
      '# key_prefix "portolan/locks/" { policy = "write" }',
      '# session_prefix "" { policy = "write" }',
      "",
    ].join("\n"),
  );
});

it.each<[line: string, expected: readonly string[]]>([
  ["consul templater", ofTemplaters],
  [
    "consul registrator --node host1",
    [
      'service_prefix "" { policy = "write" }',
      'service_prefix "portolan:" { policy = "read" }',
      'service "portolan:host1" { policy = "write" }',
      'node_prefix "" { policy = "read" }',
      'key_prefix "portolan/overrides/" { policy = "write" }',
    ],
  ],
  [
    "consulkv://h/some/services",
    [
      'key_prefix "some/services/" { policy = "write" }',
      'key_prefix "portolan/nodes/" { policy = "write" }',
      'session_prefix "" { policy = "write" }',
      'key_prefix "portolan/overrides/" { policy = "write" }',
      'key_prefix "some/services/" { policy = "read" }',
      'key_prefix "portolan/nodes/" { policy = "read" }',
      'session_prefix "" { policy = "write" }',
      'key_prefix "portolan/templaters/" { policy = "write" }',
      'key_prefix "some/services/" { policy = "read" }',
      'key_prefix "portolan/nodes/" { policy = "read" }',
      'key_prefix "portolan/overrides/" { policy = "write" }',
      'key_prefix "portolan/templaters/" { policy = "read" }',
    ],
  ],
  [
    "registrator --node a/b consulkv-unix:///run/consul.sock:/services",
    [
      'key_prefix "services/" { policy = "write" }',
      'key_prefix "portolan/nodes/" { policy = "read" }',
      'key "portolan/nodes/a%2Fb" { policy = "write" }',
      'session_prefix "" { policy = "write" }',
      'key_prefix "portolan/overrides/" { policy = "write" }',
    ],
  ],
  [
    "etcd",
    [
      ...role(
        "registrator",
        "readwrite --prefix=true /portolan/services/",
        "readwrite --prefix=true /portolan/nodes/",
        "readwrite --prefix=true /portolan/overrides/",
      ),
      ...role(
        "templater",
        "read --prefix=true /portolan/services/",
        "read --prefix=true /portolan/nodes/",
        "readwrite --prefix=true /portolan/templaters/",
      ),
      ...role(
        "operator",
        "read --prefix=true /portolan/services/",
        "read --prefix=true /portolan/nodes/",
        "readwrite --prefix=true /portolan/overrides/",
        "read --prefix=true /portolan/templaters/",
      ),
    ],
  ],
  [
    "etcd templater etcd://h/a%20b",
    role(
      "templater",
      "read --prefix=true '/a b/services/'",
      "read --prefix=true '/a b/nodes/'",
      "readwrite --prefix=true '/a b/templaters/'",
    ),
  ],
  [
    "etcd registrator --node host1 etcd://h:2379/lb",
    role(
      "registrator",
      "readwrite --prefix=true /lb/services/",
      "readwrite /lb/nodes/host1",
      "readwrite --prefix=true /lb/overrides/",
    ),
  ],
  [
    "registrator etcd://h/docker.local?layout=skydns",
    role(
      "registrator",
      "readwrite --prefix=true /skydns/local/docker/",
      "readwrite --prefix=true portolan/skydns/docker.local/nodes/",
      "readwrite --prefix=true portolan/skydns/docker.local/overrides/",
    ),
  ],
  [
    "registrator --compat registrator --node host1 --backend etcd://h/services",
    role(
      "registrator",
      "readwrite --prefix=true /services/",
      "readwrite portolan/registrator/services/nodes/host1",
      "read --prefix=true portolan/registrator/services/nodes/",
      "readwrite --prefix=true portolan/registrator/services/overrides/",
    ),
  ],
  [
    "zookeeper",
    [
      "create /portolan",
      "create /portolan/services",
      "create /portolan/nodes",
      "create /portolan/overrides",
      "create /portolan/templaters",
      "setAcl /portolan/services digest:portolan:HASH:cd,world:anyone:r",
      "setAcl /portolan/nodes digest:portolan:HASH:cd,world:anyone:r",
      "setAcl /portolan/overrides digest:portolan:HASH:cd,world:anyone:r",
      "setAcl /portolan/templaters digest:portolan:HASH:cd,world:anyone:r",
    ],
  ],
  [
    "zookeeper templater",
    [
      ...["create /portolan", "create /portolan/templaters"],
      "setAcl /portolan/templaters digest:portolan:HASH:cd,world:anyone:r",
    ],
  ],
  [
    "registrator zookeeper://h/a/b?layout=curator&user=lb&password-file=DIR/password",
    [
      ...["create /a", "create /a/b", "create /portolan", "create /portolan/curator"],
      ...["create /portolan/curator/a", "create /portolan/curator/a/b", "create /portolan/curator/a/b/nodes"],
      "create /portolan/curator/a/b/overrides",
      // printf %s lb:secret | openssl sha1 -binary | openssl base64
      "setAcl /a/b digest:lb:u1HI8mf05o3/S0qDDEcu5ppnJWw=:cd,world:anyone:r",
      "setAcl /portolan/curator/a/b/nodes digest:lb:u1HI8mf05o3/S0qDDEcu5ppnJWw=:cd,world:anyone:r",
      "setAcl /portolan/curator/a/b/overrides digest:lb:u1HI8mf05o3/S0qDDEcu5ppnJWw=:cd,world:anyone:r",
    ],
  ],
])("acl %s", async (line, expected) => {
  writeFileSync(join(dir, "password"), "secret\n");
  expect(await rules(line.replace("DIR", dir))).toEqual(expected);
});

it("takes the backend from where every command takes it, if it is of the store that is asked for", async () => {
  const PORTOLAN_BACKEND = "etcd://h/lb consul://h";
  const etcd = role(
    "templater",
    "read --prefix=true /lb/services/",
    "read --prefix=true /lb/nodes/",
    "readwrite --prefix=true /lb/templaters/",
  );
  expect(await rules("etcd templater", { PORTOLAN_BACKEND })).toEqual(etcd);
  expect(await rules("templater", { PORTOLAN_BACKEND })).toEqual([...etcd, ...ofTemplaters]);
  writeFileSync(join(dir, "portolan.yaml"), "backend: etcd://h/lb\nregistrator: { compat: registrator }\n");
  expect(await rules("etcd templater")).toEqual(
    role(
      "templater",
      "read --prefix=true /lb/",
      "read --prefix=true portolan/registrator/lb/nodes/",
      "readwrite --prefix=true portolan/registrator/lb/templaters/",
    ),
  );
  expect(await rules("consul templater")).toEqual(ofTemplaters);
});

it.each<[line: string, stderr: RegExp]>([
  ["", /USAGE: name a store or a backend: acl consul\|etcd\|zookeeper, or its URL/],
  ["consl", /USAGE: "consl" is not one of .*; the nearest is consul/],
  ["etcd consul://h", /USAGE: consul:\/\/h is not of etcd/],
  ["zookeeper operator", /USAGE: operators have the user of the registrators in ZooKeeper: say registrator/],
  [
    "file:///var/lib/registry",
    /USAGE: file:\/\/\/var\/lib\/registry has no rights to be given: .* owner and mode/,
  ],
  ["etcd://h/a/b?layout=skydns", /BACKEND_URL: .*layout skydns needs the domain/],
  ["zookeeper://h/portolan?layout=curator", /BACKEND_URL: .*needs a path of its own/],
  ["zookeeper://h/x?user=lb&password-file=/nope", /BACKEND_URL: .*password-file: .*nope/],
])("refuses acl %s", async (line, stderr) => {
  const outcome = await acl(line);
  expect(outcome.stderr).toMatch(stderr);
  expect(outcome).toMatchObject({ code: 78, stdout: "" });
});
