import { createServer } from "node:http";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { stopContainer } from "../../src/registrator/docker/stop.ts";
import { tempDir } from "../servers/run.ts";

const web = { id: "c1", name: "web-1", stopTimeoutSeconds: 1 };

/** Stops a container at a Docker that answers with this status; `asked` hears what it was asked. */
async function stopAt(status: number | "never", signal: AbortSignal, asked = () => {}): Promise<string> {
  const socket = join(tempDir("stop"), "docker.sock");
  const server = createServer(({ method, url }, response) => {
    expect(`${method} ${url}`).toBe("POST /containers/c1/stop");
    asked();
    if (status === "never") return;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(status === 204 || status === 304 ? undefined : '{"message":"as told"}');
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return stopContainer(`unix://${socket}`, {}, web, signal).then(
    () => "stopped",
    ({ code, message }: { code: string; message: string }) =>
      `${code}: ${message}`.replaceAll(`unix://${socket}`, "SOCKET"),
  );
}

it.each<[what: string, status: number, outcome: RegExp]>([
  ["that runs", 204, /^stopped$/],
  ["that has ended already", 304, /^stopped$/],
  ["that is gone", 404, /^stopped$/],
  [
    "where a proxy lets nothing but reads through",
    403,
    /^DOCKER_DENIED: Docker at SOCKET does not let web-1 be stopped; allow POST \/containers\/web-1\/stop, or/,
  ],
  ["that Docker cannot stop", 500, /^DOCKER_UNREACHABLE: Docker at SOCKET: .*as told/],
])("stops a container %s", async (_what, status, outcome) => {
  expect(await stopAt(status, new AbortController().signal)).toMatch(outcome);
});

it("waits no longer once the command is interrupted", async () => {
  const stopping = new AbortController();
  const outcome = stopAt("never", stopping.signal, () => stopping.abort());
  expect(await outcome).toBe("ABORTED: cancelled");
});
