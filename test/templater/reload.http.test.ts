import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { reloaderOf } from "../../src/templater/reload/index.ts";
import type { HttpReload } from "../../src/templater/target.ts";
import { freePort } from "../servers/ports.ts";

const context = {
  destination: "/etc/proxy.json",
  changes: [],
  swappedAt: undefined,
  timeout: 10_000,
  env: {},
  interval: async () => {},
  clearance: async () => undefined,
};

/** A server that answers each request with the status in its path, or never. */
async function startAdmin() {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const { authorization } = request.headers;
    seen.push([request.method, request.url, ...(authorization ? [authorization] : [])].join(" "));
    const status = Number(request.url?.slice(1));
    if (status > 0) response.writeHead(status, { location: "/200" }).end(`said ${status}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const reload = (
  given: Partial<HttpReload> & { url: string },
  timeout = 10_000,
  signal = new AbortController().signal,
) => reloaderOf({ kind: "http", method: "POST", expect: [], ...given })({ ...context, timeout }, signal);

describe("reload: http", () => {
  it("posts, and takes 200 to 299 for acceptance", async () => {
    const admin = await startAdmin();
    for (const status of [200, 204, 299]) {
      expect(await reload({ url: `${admin.url}/${status}` })).toEqual({ accepted: "reload" });
    }
    await reload({ url: `${admin.url}/409`, method: "PUT", expect: [200, 409] });
    expect(admin.seen).toEqual(["POST /200", "POST /204", "POST /299", "PUT /409"]);
  });

  it.each([
    [500, [], "answered 500, not 200 to 299:\nsaid 500"],
    [302, [], "answered 302, not 200 to 299"],
    [204, [200, 201], "answered 204, not 200 or 201"],
  ])("fails with %i when %j is expected", async (status, expected, message) => {
    const admin = await startAdmin();
    await expect(reload({ url: `${admin.url}/${status}`, expect: expected })).rejects.toMatchObject({
      code: "RELOAD_FAILED",
      left: "open",
      message: expect.stringContaining(message),
    });
    expect(admin.seen).toHaveLength(1);
  });

  it("has a deadline, and hides a password", async () => {
    const admin = await startAdmin();
    const failure = await reload({ url: `${admin.url}/never` }, 200).catch((error: unknown) => error);
    expect(failure).toMatchObject({ left: "open" });
    expect(String(failure)).toContain("did not answer within 0.2 s");
    const gone = `http://me:secret@127.0.0.1:${await freePort()}/`;
    const silent = await reload({ url: gone }).catch((error: unknown) => error);
    expect(silent).toMatchObject({ code: "RELOAD_FAILED", left: "none" });
    expect(String(silent)).not.toContain("secret");
    await reload({ url: `${admin.url.replace("//", "//me:s%20t@")}/200` });
    expect(admin.seen.at(-1)).toBe(`POST /200 Basic ${Buffer.from("me:s t").toString("base64")}`);
  });

  it("ends when it is aborted", async () => {
    const admin = await startAdmin();
    const stop = new AbortController();
    const failure = expect(reload({ url: `${admin.url}/never` }, 10_000, stop.signal)).rejects.toMatchObject({
      code: "ABORTED",
    });
    stop.abort();
    await failure;
  });
});
