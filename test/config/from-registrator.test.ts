import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseArguments } from "../../src/config/arguments.ts";
import { type Env, readSettings, type Settings } from "../../src/config/settings.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "portolan-lines-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function settings(line: string, env: Env = {}): Promise<Settings> {
  const given = await parseArguments(line.split(" "));
  if (given.command === undefined) throw new Error(`no command in ${line}`);
  return readSettings({ ...given, command: given.command }, env, folder);
}

const all =
  "registrator -ip 10.1.2.3 -internal -resync 30 -ttl 60 -ttl-refresh 20 -cleanup -deregister on-success -retry-attempts -1 -retry-interval 2000 -tags a,b -explicit -useIpFromLabel L consul://127.0.0.1:8500";

describe("registrator's command lines", () => {
  it.each<[line: string, values: object]>([
    ["registrator consul://localhost:8500", { backend: ["consul://localhost:8500"] }],
    [
      all,
      {
        backend: ["consul://127.0.0.1:8500"],
        ip: "10.1.2.3",
        internal: true,
        resync: 30_000,
        ttl: 60_000,
        deregister: "on-success",
        tags: ["a", "b"],
        explicit: true,
        useIpFromLabel: "L",
        retryAttempts: -1,
        retryInterval: 2000,
      },
    ],
    ["registrator -internal=false consul:", { internal: false }],
    ["registrator -internal=true -cleanup=true consul:", { internal: true, cleanup: true }],
    ["registrator --ip=10.1.2.3 --resync=30 consul:", { ip: "10.1.2.3", resync: 30_000 }],
    [
      "registrator -ip=10.1.2.3 consul: -deregister=always -cleanup",
      { ip: "10.1.2.3", deregister: "always", cleanup: true, backend: ["consul:"] },
    ],
    ["registrator consul: -compat registrator", { compat: "registrator" }],
    ["registrator -ttl 0 -ttl-refresh 0 consul:", { ttl: 0 }],
    ["registrator -retry-attempts 10 -retry-interval 500 consul:", { retryAttempts: 10, retryInterval: 500 }],
    ["registrator -tags= consul:", { tags: [] }],
    ["registrator consul-unix:///run/consul.sock", { backend: ["consul-unix:///run/consul.sock"] }],
    ["registrator consul-tls://127.0.0.1:8501", { backend: ["consul-tls://127.0.0.1:8501"] }],
    ["registrator consulkv://127.0.0.1:8500/prefix", { backend: ["consulkv://127.0.0.1:8500/prefix"] }],
    [
      "registrator consulkv-unix:///run/consul.sock:/prefix",
      { backend: ["consulkv-unix:///run/consul.sock:/prefix"] },
    ],
    ["registrator etcd://127.0.0.1:2379/services", { backend: ["etcd://127.0.0.1:2379/services"] }],
    ["registrator zookeeper://zookeeper.host/basepath", { backend: ["zookeeper://zookeeper.host/basepath"] }],
  ])("%s", async (line, values) => {
    const read = await settings(line);
    expect(read.mistakes).toEqual([]);
    expect(read.warnings).toEqual([]);
    expect(read.values).toMatchObject(values);
  });

  it("has a meaning for -resync 0 that it tells once", async () => {
    const { mistakes, warnings, values } = await settings("registrator -resync 0 consul:");
    expect(mistakes).toEqual([]);
    expect(values.resync).toBe(0);
    expect(warnings).toEqual([
      "--resync 0: Portolan compares nevertheless, every 60s, and writes only differences",
    ]);
  });

  it("tells what has no effect", async () => {
    expect((await settings(all)).ignored.map((text) => text.split(":")[0])).toEqual([
      "-cleanup has no effect",
      "-ttl-refresh has no effect",
      "-retry-attempts has no effect",
      "-retry-interval has no effect",
    ]);
  });

  it("takes DOCKER_HOST", async () => {
    const env = { DOCKER_HOST: "unix:///tmp/docker.sock" };
    expect((await settings("registrator consul:", env)).values.docker).toBe("unix:///tmp/docker.sock");
  });

  it.each<[line: string, mistake: RegExp]>([
    ["registrator -tags {{.Config.Hostname}} consul:", /Go template; write it in Handlebars/],
    ["registrator -require-label consul:", /a fork of registrator; write --select SERVICE_REGISTER/],
    ["registrator -ip-from-container consul:", /a fork of registrator; write --internal/],
    ["registrator -ip-from-container=true consul:", /a fork of registrator; write --internal/],
    ["registrator -ip-lookup-source http://x/ consul:", /--ip interface:NAME/],
    ["registrator -ip-lookup-retries 3 consul:", /leave it out/],
    ["registrator -exit-on-ip-lookup-failure consul:", /leave it out/],
    ["registrator skydns2://127.0.0.1:2379/cluster.local", /write etcd:\/\/HOST:2379\/DOMAIN\?layout=skydns/],
    ["registrator etcd2://127.0.0.1:2379/x", /write etcd:\/\/HOST:2379\/PREFIX\?layout=registrator/],
    ["registrator -deregister on-succes consul:", /nearest is on-success/],
    ["registrator -ttl 0.5 consul:", /least is 1s, and 0 means none/],
  ])("%s is refused with the way out", async (line, mistake) => {
    const { mistakes } = await settings(line);
    expect(mistakes.map(({ text }) => text).join("\n")).toMatch(mistake);
  });

  it("names the fork's option to the registrator only", async () => {
    expect((await settings("templater -t a:b --require-label consul:")).mistakes[0]?.text).toMatch(
      /unknown option/,
    );
  });
});
