// What a backend says where something else than its server answers, or nothing does: thing, place and way out.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import { freePort } from "../servers/ports.ts";
import { signal } from "./backend-stage.ts";
import { someOwner } from "./contract/suite.ts";

const stranger = createServer((_request, answer) => answer.writeHead(404).end("404 page not found\n"));
let nobody = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  nobody = await freePort();
});
afterAll(() => void stranger.close());

it.each([
  [
    "etcd",
    "nobody",
    "no connection: connect ECONNREFUSED 127.0.0.1:PORT; see that etcd serves clients there",
  ],
  ["etcd", "a stranger", "no connection: Protocol error; what answers there is no etcd, or speaks TLS"],
  ["consul", "a stranger", "what answers there is no Consul agent; name its HTTP port, usually 8500"],
])("%s, where %s answers: %s", async (scheme, who, words) => {
  const port = who === "nobody" ? nobody : (stranger.address() as AddressInfo).port;
  const url = `${scheme}://127.0.0.1:${port}`;
  const backend = await openBackend(url, { env: {} });
  await expect(backend.lease(someOwner(), 5).renew(signal)).rejects.toMatchObject({
    code: "BACKEND_UNREACHABLE",
    message: `${url}: ${words.replace("PORT", String(port))}`,
  });
  await backend.close();
});
