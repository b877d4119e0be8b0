// What `portolan acl zookeeper` prints is fed to ZooKeeper's own command line, and is enough; each right is needed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connection, connect } from "../../src/backends/zookeeper/connection.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { fourLetterWord, startZooKeeper, type ZooKeeper } from "../servers/zookeeper.ts";
import { signal } from "./backend-stage.ts";
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

let server: ZooKeeper;
/** Of nobody: it sees what everybody may see. */
let bare: Connection;
let zkCli: readonly [string, ...string[]];
const soon = { within: 30_000 };
let worlds = 0;
const passwordFile = join(tempDir("zookeeper-rights"), "password");

beforeAll(async () => {
  const { zookeeper } = await ensureInstalled(["zookeeper"]);
  server = await startZooKeeper({ tickTime: 1000 });
  writeFileSync(passwordFile, "secret\n");
  const { host, port } = server;
  bare = await connect({ host, port, timeout: 20_000, limit: 5_000, keepAlive: true, signal });
  const library = (name: string) => `/usr/share/java/${name}.jar`;
  const classpath = [
    zookeeper.zookeeper,
    ...["zookeeper-jute", "commons-cli", "slf4j-api"].map(library),
  ].join(":");
  zkCli = [zookeeper.java, "-cp", classpath, "org.apache.zookeeper.ZooKeeperMain", "-server", server.address];
});
afterAll(async () => {
  await bare?.end();
  await server?.stop();
});

/** Feeds lines to zkCli.sh; it goes on after a mistake, so the outcome is looked at. */
async function run(lines: readonly string[]): Promise<void> {
  const [command, ...args] = zkCli;
  await exec(command, args, { input: `${lines.join("\n")}\nquit\n` });
}

const urlOf = (place: string) => `zookeeper://${server.address}${place}`;
const withUser = (url: string) =>
  `${url}${url.includes("?") ? "&" : "?"}user=lb&password-file=${passwordFile}`;

const places = {
  portolan: { place: "/acl", query: "", services: "/acl/services" },
  curator: { place: "/curated", query: "?layout=curator", services: "/curated" },
  registrator: { place: "/flat", query: "?layout=registrator", services: "/flat" },
} as const;
type LayoutName = keyof typeof places;

describe("zookeeper: the printed rights", () => {
  it.each(Object.entries(places))(
    "let a registrator and a templater work in the layout %s",
    async (_layout, of) => {
      const { place, query, services } = of;
      const writer: Access = { url: withUser(urlOf(`${place}${query}`)) };
      await run(linesOf(await printed("zookeeper", writer.url)));
      await expectToWork({
        registrator: writer,
        templater: { url: urlOf(`${place}${query}`) },
        records: async (service) => ((await bare.list(`${services}/${service}`)) ?? []).length > 0,
      });
      // Nobody else may write.
      await expect(bare.create(`${services}/intruder`, "", "persistent")).rejects.toMatchObject({
        code: "BACKEND_DENIED",
        message: expect.stringContaining(`the user needs c (create) on ${services};`) as string,
      });
    },
  );

  /** Prints the rights for a place of its own, changes one access list, and applies them. */
  const granted = async (
    node: "services" | "nodes",
    from: string,
    to: string,
    layout: LayoutName = "portolan",
  ) => {
    const { place, query, services } = places[layout];
    worlds += 1;
    const at = `${place}-${worlds}`;
    const access = { url: withUser(urlOf(`${at}${query}`)) };
    const lines = linesOf(await printed("zookeeper", access.url));
    const list = lines.filter((line) => line.startsWith("setAcl "))[node === "services" ? 0 : 1] ?? "";
    expect(list).toContain(from);
    await run(lines.map((line) => (line === list ? list.replace(from, to) : line)));
    const shown = { url: urlOf(`${at}${query}`) };
    return { access, shown, node: list.split(" ")[1] ?? "", services: services.replace(place, at) };
  };
  const name = () => `less-${worlds}`;
  const denied = (right: string, node: string) =>
    ["no right to do this", `the user needs `, `${right} on ${node}`, "portolan acl zookeeper"] as const;

  it.each([
    ["services", "cd,world:anyone:r", "d,world:anyone:r", "c (create)"],
    ["services", ":cd,world:anyone:r", ":cd", "r (read)"],
    ["nodes", ":cd,", ":d,", "c (create)"],
  ] as const)(
    "need the list of %s to hold %s and not %s for a registrator",
    async (which, from, to, right) => {
      const { access, node } = await granted(which, from, to);
      const web = await container(name());
      await expectDenied(await registrator(access, name()), ...denied(right, node)).finally(() =>
        web.remove(),
      );
    },
  );

  it("need r of everybody for a templater", async () => {
    const { shown, node } = await granted("services", ",world:anyone:r", "");
    const { program } = await templater(shown, name());
    const connected = async () =>
      Number(/zk_connection_request_count\s+(\d+)/.exec(await fourLetterWord(server.port, "mntr"))?.[1]);
    const before = await connected();
    await waitFor("it to try again and again", async () => (await connected()) > before + 2, soon);
    // It leaves no connection behind: there is ours, its own, and the one that asks.
    const open = (await fourLetterWord(server.port, "cons")).trim().split("\n");
    expect(open.length).toBeLessThanOrEqual(3);
    await expectDenied(program, ...denied("r (read)", node));
  });

  it("need r of everybody at the nodes, where a templater looks who lives", async () => {
    const { access, shown, node } = await granted("nodes", ",world:anyone:r", "");
    await expectClaimsDenied({ registrator: access, templater: shown, why: denied("r (read)", node) });
  });

  it("need d for the next run of a registrator", async () => {
    const { access, node } = await granted("nodes", ":cd,", ":c,");
    const program = await registrator(access, name());
    await inSync(program);
    await program.restart();
    await expectDenied(program, ...denied("d (delete)", node));
  });

  it("need d for taking the node of a service away with its last instance, which else stays", async () => {
    for (const [from, to, left] of [
      ["cd,", "c,", true],
      ["cd,", "cd,", false],
    ] as const) {
      const { access, services: below } = await granted("services", from, to);
      const program = await registrator(access, name());
      const web = await container(name());
      await waitFor("the record", async () => (await bare.list(`${below}/${name()}`))?.length === 1, soon);
      await web.remove();
      await waitFor("the end", async () => !(await bare.list(`${below}/${name()}`))?.length, soon);
      await inSync(program);
      if (!left) await waitFor("no node", async () => !(await bare.exists(`${below}/${name()}`)), soon);
      expect(await bare.exists(`${below}/${name()}`)).toBe(left);
      await program.stop();
    }
  });

  it("need r for telling who holds what is in the way, in the layouts of others", async () => {
    const { access, node, services: below } = await granted("nodes", ",world:anyone:r", "", "curator");
    const [{ host, port }, digest] = [server, "lb:secret"];
    const other = await connect({
      host,
      port,
      digest,
      timeout: 20_000,
      limit: 5_000,
      keepAlive: true,
      signal,
    });
    const web = await container(name());
    await other.create(`${below}/${name()}/${name()}:${web.name}:80`, "{}", "persistent");
    await expectDenied(await registrator(access, name()), ...denied("r (read)", node)).finally(() =>
      web.remove(),
    );
    await other.end();
  });
});
