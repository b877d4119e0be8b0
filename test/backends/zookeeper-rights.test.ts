// What `portolan acl zookeeper` prints is fed to ZooKeeper's own command line, and is enough; each right is needed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Lease, ownerText } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { type Connection, connect } from "../../src/backends/zookeeper/connection.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { fourLetterWord, startZooKeeper, type ZooKeeper } from "../servers/zookeeper.ts";
import { signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";
import {
  type Access,
  expectDenied,
  expectRefused,
  expectRefusedAllBut,
  expectToWork,
  type Job,
  printed,
  registrator,
  rulesAtNeed,
  rulesOf,
  templater,
  work,
} from "./rights-stage.ts";

let server: ZooKeeper;
/** Of nobody: it sees what everybody may see. */
let bare: Connection;
let zkCli: readonly [string, ...string[]];
const soon = { within: 30_000 };
const passwordFile = join(tempDir("zookeeper-rights"), "password");

const connected = (digest?: string) => {
  const { host, port } = server;
  return connect({ host, port, digest, timeout: 20_000, limit: 5_000, keepAlive: true, signal });
};

/** Feeds lines to zkCli.sh; it goes on after a mistake, so the outcome is looked at. */
async function run(lines: readonly string[]): Promise<void> {
  const [command, ...args] = zkCli;
  await exec(command, args, { input: `${lines.join("\n")}\nquit\n` });
}

/** With the rights of everybody. */
const shown = (place: string): Access => ({ url: `zookeeper://${server.address}${place}` });
/** As a user. */
const as = (user: string, place: string): Access => {
  const { url } = shown(place);
  return { url: `${url}${url.includes("?") ? "&" : "?"}user=${user}&password-file=${passwordFile}` };
};

/** Places whose lists lack something: of which node, what is changed in its list, and what then is refused. */
const lacking = {
  "c at the services": ["services", ":cd,", ":d,", "registrator", "c (create) on"],
  "r at the services": ["services", ",world:anyone:r", "", "templater", "r (read) on"],
  "c at the nodes": ["nodes", ":cd,", ":d,", "registrator", "c (create) on"],
  "d at the nodes": ["nodes", ":cd,", ":c,", "registrator", "d (delete) on"],
  "r at the nodes": ["nodes", ",world:anyone:r", "", "templater", "r (read) on"],
  "c at the overrides": ["overrides", ":cd,", ":d,", "operator", "c (create) on"],
  "d at the overrides": ["overrides", ":cd,", ":c,", "operator", "d (delete) on"],
  "r at the overrides": ["overrides", ",world:anyone:r", "", "registrator", "r (read) on"],
  "c at the templaters": ["templaters", ":cd,", ":d,", "templater", "c (create) on"],
  "d at the templaters": ["templaters", ":cd,", ":c,", "templater", "d (delete) on"],
  "r at the templaters": ["templaters", ",world:anyone:r", "", "operator", "r (read) on"],
} as const satisfies Readonly<Record<string, readonly [string, string, string, Job, string]>>;
const placeOf = (lack: string) => `/lacking/${lack.replaceAll(" ", "-")}`;
/** Of a registrator that may not take away what is empty below the services. */
const keepsEmpty = "/keeps-empty";
/** Of one that may not read who holds what, in a layout of others. */
const holdersHidden = "/holders-hidden?layout=curator";

/** Where templaters take turns, and no registrator elects. */
const turns = "/turns";

const layouts = {
  portolan: ["/acl", "/acl/services"],
  curator: ["/curated?layout=curator", "/curated"],
  registrator: ["/flat?layout=registrator", "/flat"],
} as const;

beforeAll(async () => {
  const { zookeeper } = await ensureInstalled(["zookeeper"]);
  server = await startZooKeeper({ tickTime: 1000 });
  writeFileSync(passwordFile, "secret\n");
  bare = await connected();
  const library = (name: string) => `/usr/share/java/${name}.jar`;
  const classpath = [
    zookeeper.zookeeper,
    ...["zookeeper-jute", "commons-cli", "slf4j-api"].map(library),
  ].join(":");
  zkCli = [zookeeper.java, "-cp", classpath, "org.apache.zookeeper.ZooKeeperMain", "-server", server.address];

  const lines: string[] = [];
  for (const [place] of Object.values(layouts)) {
    for (const [role, user] of [
      ["registrator", "lb"],
      ["templater", "reader"],
    ] as const) {
      const text = await printed("zookeeper", role, as(user, place).url);
      lines.push(...rulesOf(text), ...(role === "registrator" ? rulesAtNeed(text) : []));
    }
  }
  const ofTurns = await printed("zookeeper", "templater", as("reader", turns).url);
  lines.push(...rulesOf(ofTurns), ...rulesAtNeed(ofTurns));
  /** All lists of a place for one user, one of them changed. */
  const changed = async (place: string, node: string, from: string, to: string) => {
    const rules = rulesOf(await printed("zookeeper", as("lb", place).url));
    const list = rules.find((rule) => rule.startsWith("setAcl ") && rule.includes(`${node} `)) ?? "";
    expect(list).toContain(from);
    lines.push(...rules.map((rule) => (rule === list ? list.replace(from, to) : rule)));
  };
  for (const [lack, [node, from, to]] of Object.entries(lacking))
    await changed(placeOf(lack), node, from, to);
  await changed(keepsEmpty, "services", ":cd,", ":c,");
  await changed(holdersHidden, "nodes", ",world:anyone:r", "");
  await run(lines);
});
afterAll(async () => {
  await bare?.end();
  await server?.stop();
});

const denied = (right: string) => [
  "no right to do this",
  `the user needs ${right} `,
  "portolan acl zookeeper",
];

describe("zookeeper: the printed rights", () => {
  it.each(Object.entries(layouts))(
    "of the layout %s are enough, and nobody may do more",
    async (_layout, [place, services]) => {
      const ofWriters = ["registrator", "operator", "elections", "healing"] as const;
      for (const job of ofWriters) await work(job, as("lb", place));
      await work("templater", as("reader", place));
      await expectRefusedAllBut([...ofWriters, "keys"], as("lb", place));
      await expectRefusedAllBut(["templater", "keys"], as("reader", place));
      await expectRefusedAllBut(["keys"], shown(place));
      await expect(bare.create(`${services}/intruder`, "", "persistent")).rejects.toMatchObject({
        code: "BACKEND_DENIED",
        message: expect.stringContaining(`the user needs c (create) on ${services};`) as string,
      });
    },
  );

  it("say what templaters need besides that take turns to reload", async () => {
    await work("elections", as("reader", turns));
  });

  it.each(Object.entries(lacking))("need %s", async (lack, [node, , , job, right]) => {
    await expectRefused(job, as("lb", placeOf(lack)), ...denied(right), `${placeOf(lack)}/${node}`);
  });

  it("let a registrator and a templater work", async () => {
    const [place, services] = layouts.portolan;
    await expectToWork({
      registrator: as("lb", place),
      templater: as("reader", place),
      operator: as("lb", place),
      records: async (service) => ((await bare.list(`${services}/${service}`)) ?? []).length > 0,
    });
  });

  it("are named by each program that lacks one", async () => {
    const hidden = placeOf("r at the services");
    const { program } = await templater(shown(hidden), "lacking");
    const connects = async () =>
      Number(/zk_connection_request_count\s+(\d+)/.exec(await fourLetterWord(server.port, "mntr"))?.[1]);
    const before = await connects();
    await waitFor("it to try again and again", async () => (await connects()) > before + 2, soon);
    // It leaves no connection behind: there are ours, its own for records and for its note, and the one that asks.
    const open = (await fourLetterWord(server.port, "cons")).trim().split("\n");
    expect(open.length).toBeLessThanOrEqual(4);
    await expectDenied(program, ...denied("r (read) on"), `${hidden}/services;`);
    const closed = placeOf("c at the nodes");
    await expectDenied(
      await registrator(as("lb", closed), "lacking"),
      ...denied("c (create) on"),
      `${closed}/nodes;`,
    );
  });

  describe("need, beside what is refused without them,", () => {
    const leased = async (place: string, use: (lease: Lease, name: string) => Promise<void>) => {
      const backend = await openBackend(as("lb", place).url, { env: {} });
      const owner = someOwner();
      const lease = backend.lease(owner, 10);
      await lease.renew(signal);
      await use(lease, owner.node);
      await lease.release(signal);
      await backend.close();
    };

    it("d for taking the node of a service away with its last instance, which else stays", async () => {
      for (const [place, stays] of [
        [keepsEmpty, true],
        [layouts.portolan[0], false],
      ] as const) {
        await leased(place, async (lease, service) => {
          const instance = someInstance(someOwner(), { service });
          const ours = { ...instance, owner: ownerText({ node: service, engine: "", run: "" }) };
          await lease.register(ours, signal);
          await lease.deregister(ours, signal);
          expect(await bare.exists(`${place}/services/${service}`)).toBe(stays);
        });
      }
    });

    it("r for telling who holds what is in the way, in the layouts of others", async () => {
      const other = await connected("lb:secret");
      await leased(holdersHidden, async (lease, service) => {
        const instance = someInstance(someOwner(), { service });
        await other.create(`/holders-hidden/${service}/${instance.id}`, "{}", "persistent");
        await expect(lease.register(instance, signal)).rejects.toMatchObject({
          code: "BACKEND_DENIED",
          message: expect.stringMatching(/needs r \(read\) on .*\/nodes;/) as string,
        });
      });
      await other.end();
    });
  });
});
