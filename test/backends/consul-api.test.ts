import { createServer, type RequestListener, type Server } from "node:http";
import Consul from "consul";
import { afterEach, describe, expect, it } from "vitest";
import { createConsulApi } from "../../src/backends/consul/api.ts";

const signal = new AbortController().signal;
const question = { index: 0, consistent: false };
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener, host = "127.0.0.1"): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const apiOf = (port: number, host = "127.0.0.1") =>
  createConsulApi(
    { host, port, title: "consul://test", stale: false, cached: false },
    { wait: 1000, patience: 20_000 },
  );

describe("consul-api, where the package alone does not do", () => {
  it("notices an answer that is cut off in its middle", async () => {
    const port = await serve((_, answer) => {
      answer.writeHead(200, {
        "content-type": "application/json",
        "content-length": 100,
        "x-consul-index": 1,
      });
      answer.write("[");
      setImmediate(() => answer.destroy());
    });
    let settled = false;
    const settle = () => {
      settled = true;
    };
    new Consul({ host: "127.0.0.1", port }).health.service("web").then(settle, settle);
    const api = apiOf(port);
    await expect(api.health("web", question, signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    expect(settled).toBe(false);
    api.close();
  });

  it("reads no answer that never ends, and names what it asked for, the limit and the way out", async () => {
    const megabyte = Buffer.alloc(1024 * 1024, " ");
    let closed = () => {};
    const hungUp = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const port = await serve((_, answer) => {
      answer.writeHead(200, { "content-type": "application/json", "x-consul-index": 1 });
      const fill = () => {
        while (answer.write(megabyte));
      };
      answer.on("drain", fill).once("close", closed);
      fill();
    });
    const api = apiOf(port);
    await expect(api.tree("much/", question, signal)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringMatching(
        /^consul:\/\/test: \/v1\/kv\/much%2F\?recurse=?: the answer is longer than 64 MB, .*remove what/,
      ) as string,
    });
    await hungUp;
    api.close();
  });

  it("reaches an agent by its IPv6 address", async () => {
    const port = await serve((_, answer) => answer.writeHead(200, { "x-consul-index": 3 }).end(), "::1");
    await expect(new Consul({ host: "[::1]", port }).health.service("web")).rejects.toThrow("ENOTFOUND");
    const api = apiOf(port, "::1");
    expect(await api.health("web", question, signal)).toMatchObject({ index: 3 });
    api.close();
  });

  it("registers weights and replaces checks", async () => {
    const seen: string[] = [];
    const port = await serve((request, answer) => {
      request.setEncoding("utf8").on("data", (text) => seen.push(`${request.url} ${text}`));
      request.on("end", () => answer.end());
    });
    const weights = { weights: { passing: 5, warning: 1 } };
    await new Consul({ host: "127.0.0.1", port }).agent.service.register({ name: "web", ...weights });
    const api = apiOf(port);
    await api.register({ Name: "web", Weights: { Passing: 5, Warning: 1 } }, true, signal);
    expect(seen).toEqual([
      '/v1/agent/service/register {"Name":"web"}',
      '/v1/agent/service/register?replace-existing-checks=true {"Name":"web","Weights":{"Passing":5,"Warning":1}}',
    ]);
    api.close();
  });

  it("takes a service that is gone for deregistered, as newer servers say it, and no other refusal", async () => {
    const answers = [
      [404, 'Unknown service ID "web-1". Ensure that the service ID is passed, not the service name.'],
      [403, "Permission denied"],
    ] as const;
    const left = [...answers];
    const port = await serve((_, answer) => {
      const [status, text] = left.shift() ?? [500, "over"];
      answer.writeHead(status, { "content-type": "text/plain" }).end(text);
    });
    const api = apiOf(port);
    expect(await api.deregister("web-1", signal)).toBeUndefined();
    await expect(api.deregister("web-1", signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });
    api.close();
  });

  it.each([
    [403, "Permission denied", "BACKEND_DENIED"],
    [500, "No cluster leader", "BACKEND_UNREACHABLE"],
    [500, "rpc error making call: EOF", "BACKEND_UNREACHABLE"],
    [429, "too many requests", "BACKEND_UNREACHABLE"],
    [400, "Invalid Service Meta", "FAILED"],
    [301, "moved", "FAILED"],
  ])("turns %i %s into %s", async (status, text, code) => {
    const port = await serve((_, answer) =>
      answer.writeHead(status, { "content-type": "text/plain" }).end(text),
    );
    const api = apiOf(port);
    const message = expect.stringContaining(`consul://test: ${text} (${status})`) as string;
    const failure = { code, message };
    await expect(api.health("web", question, signal)).rejects.toMatchObject(failure);
    await expect(api.register({}, false, signal)).rejects.toMatchObject(failure);
    api.close();
  });

  it("takes an empty answer for a missing right when the server says so, and refuses one that is not Consul's", async () => {
    const headers = { "x-consul-index": 3, "x-consul-results-filtered-by-acls": "true" };
    const filtered = await serve((_, answer) =>
      answer.writeHead(200, { "content-type": "application/json", ...headers }).end("[]"),
    );
    const other = await serve((_, answer) => answer.end("hello"));
    const [first, second] = [apiOf(filtered), apiOf(other)];
    await expect(first.health("web", question, signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });
    await expect(second.health("web", question, signal)).rejects.toThrow("is it Consul?");
    first.close();
    second.close();
  });

  it.each([
    ["?stale of a server that has heard nothing of the leader for long", { "x-consul-lastcontact": "10001" }],
    ["?stale of a server that knows no leader", { "x-consul-knownleader": "false" }],
    ["?cached of an agent that has reached no server for long", { age: "11" }],
    ["", { "x-consul-lastcontact": "9999", "x-consul-knownleader": "true", age: "9" }],
  ])("asks the leader instead of believing an answer %s", async (what, headers) => {
    const seen: (string | undefined)[] = [];
    const port = await serve((request, answer) => {
      seen.push(request.url);
      answer
        .writeHead(200, { "content-type": "application/json", "x-consul-index": 7, ...headers })
        .end("[]");
    });
    const address = { host: "127.0.0.1", port, title: "consul://test", stale: true, cached: true };
    const api = createConsulApi(address, { wait: 1000, patience: 20_000 });
    expect(await api.health("web", { ...question, index: 3 }, signal)).toMatchObject({ index: 7 });
    const waits = "index=3&wait=1000ms";
    const first = `/v1/health/service/web?stale=&cached=&${waits}`;
    expect(seen).toEqual(what === "" ? [first] : [first, `/v1/health/service/web?${waits}`]);
    seen.length = 0;
    await api.health("web", { index: 0, consistent: true }, signal);
    expect(seen[0]).toBe("/v1/health/service/web?consistent=");
    await api.tree("x/", question, signal);
    expect(seen.at(what === "" ? -1 : -2)).toBe("/v1/kv/x%2F?recurse=&stale=");
    api.close();
  });

  it("cancels what runs when it is closed", async () => {
    const port = await serve(() => {});
    const api = apiOf(port);
    const call = api.health("web", question, signal);
    api.close();
    await expect(call).rejects.toMatchObject({ code: "ABORTED" });
    await expect(api.agentSelf(signal)).rejects.toMatchObject({ code: "ABORTED" });
  });
});
