// What a backend says where something else than its server answers, or nothing does: thing, place and way out.
import { createServer } from "node:http";
import { type AddressInfo, createServer as createMute } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import { freePort } from "../servers/ports.ts";
import { signal } from "./backend-stage.ts";
import { someOwner } from "./contract/suite.ts";

const stranger = createServer((_request, answer) => answer.writeHead(404).end("404 page not found\n"));
/** Takes every connection and says nothing. */
const mute = createMute(() => {});
let nobody = 0;
beforeAll(async () => {
  for (const server of [stranger, mute]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }
  nobody = await freePort();
});
afterAll(() => {
  stranger.closeAllConnections();
  for (const server of [stranger, mute]) server.close();
});

const portOf = { nobody: () => nobody, stranger: () => portIn(stranger), mute: () => portIn(mute) } as const;
const portIn = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

const overdue = "see that it is neither overloaded nor out of reach";
const unknownName = "see that the name is right, and that DNS or /etc/hosts knows it";

it.concurrent.each([
  [
    "etcd://127.0.0.1:PORT",
    "nobody",
    "URL: no connection: connect ECONNREFUSED 127.0.0.1:PORT; see that etcd serves clients there",
  ],
  [
    "consul://127.0.0.1:PORT",
    "nobody",
    "URL: connect ECONNREFUSED 127.0.0.1:PORT; see that a Consul agent serves clients there",
  ],
  [
    "consulkv://127.0.0.1:PORT/x",
    "nobody",
    "URL: connect ECONNREFUSED 127.0.0.1:PORT; see that a Consul agent serves clients there",
  ],
  [
    "zookeeper://127.0.0.1:PORT",
    "nobody",
    "ZooKeeper 127.0.0.1:PORT: connect ECONNREFUSED 127.0.0.1:PORT; see that ZooKeeper serves clients there",
  ],
  [
    "etcd://127.0.0.1:PORT",
    "stranger",
    "URL: no connection: Protocol error; what answers there is no etcd, or speaks TLS",
  ],
  [
    "consul://127.0.0.1:PORT",
    "stranger",
    "URL: what answers there is no Consul agent; name its HTTP port, usually 8500",
  ],
  [
    "zookeeper://127.0.0.1:PORT",
    "stranger",
    "ZooKeeper 127.0.0.1:PORT: an answer of 1213486160 bytes: at most 64 MB are read; what answers there is no " +
      "ZooKeeper, or holds too much",
  ],
  ["etcd://127.0.0.1:PORT", "mute", `URL: no answer within 5 s; ${overdue}`],
  ["consul://127.0.0.1:PORT", "mute", `URL: no answer within 5 s; ${overdue}`],
  ["consulkv://127.0.0.1:PORT/x", "mute", `URL: no answer within 5 s; ${overdue}`],
  // Whichever gives up first, the connection or the call.
  [
    "zookeeper://127.0.0.1:PORT",
    "mute",
    new RegExp(`^(zookeeper://|ZooKeeper )127.0.0.1:\\d+: no answer within 5(000 m| )s; ${overdue}$`),
  ],
  [
    "etcd://nobody.invalid:PORT",
    "nobody",
    `URL: Name resolution failed for target dns:nobody.invalid:PORT; ${unknownName}`,
  ],
  ["consul://nobody.invalid:PORT", "nobody", new RegExp(`getaddrinfo E\\w+ nobody.invalid; ${unknownName}$`)],
  [
    "zookeeper://nobody.invalid:PORT",
    "nobody",
    new RegExp(`^ZooKeeper nobody.invalid:\\d+: getaddrinfo E\\w+ nobody.invalid; ${unknownName}$`),
  ],
  [
    "consul+unix:///no/such/socket",
    "nobody",
    "URL: connect ENOENT /no/such/socket; see that a Consul agent runs and listens on this socket",
  ],
] as const)("%s, where %s answers: %s", async (text, who, words) => {
  const port = String(portOf[who]());
  const url = text.replace("PORT", port);
  const backend = await openBackend(url, { env: {} });
  await expect(backend.lease(someOwner(), 5).renew(signal)).rejects.toMatchObject({
    code: "BACKEND_UNREACHABLE",
    message:
      words instanceof RegExp
        ? (expect.stringMatching(words) as string)
        : expect.stringMatching(new RegExp(`^${escaped(words, url, port)}$`)),
  });
  await backend.close();
});

it("etcd, of a host that another one could not connect to a moment ago: never `null`", async () => {
  const url = `etcd://127.0.0.1:${nobody}`;
  const words =
    /no connection: (connect ECONNREFUSED \S+|the last try failed); see that etcd serves clients there$/;
  const backends = await Promise.all(Array.from({ length: 8 }, () => openBackend(url, { env: {} })));
  for (const backend of backends) {
    await expect(backend.lease(someOwner(), 5).renew(signal)).rejects.toThrow(words);
  }
  await Promise.all(backends.map((backend) => backend.close()));
});

/** The words with the URL and the port in their places, as they stand in a pattern. */
function escaped(words: string, url: string, port: string): string {
  return words
    .replaceAll("URL", url)
    .replaceAll("PORT", port)
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
