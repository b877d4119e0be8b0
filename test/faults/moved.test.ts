// A server that moved to another address under its old name: the built executable, in a mount namespace with an own
// /etc/hosts, is to follow it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import { signal } from "../backends/backend-stage.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";
import { freePort } from "../servers/ports.ts";
import { startProcess } from "../servers/process.ts";
import { startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");
const name = "store.portolan.test";
const enter = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';

describe("a server that moved to another address", () => {
  it.concurrent.each(["consul", "etcd", "zookeeper"] as const)(
    "%s: its name is resolved at each connect, and what changed there is seen (T3)",
    async (store) => {
      const port = await freePort();
      const upstream = { port: inject(store).port };
      const [old, next] = await Promise.all(
        ["127.0.0.1", "127.0.0.2"].map((host) => startFaultProxy({ upstream, listen: { host, port } })),
      );
      if (!old || !next) throw new Error("two addresses");
      const hosts = join(tempDir("moved"), "hosts");
      // Written in place: the namespace has this very file.
      const moveTo = (address: string) => writeFileSync(hosts, `${address} ${name}\n127.0.0.1 localhost\n`);
      moveTo("127.0.0.1");

      const path = store === "consul" ? "" : `/moved-${process.pid}`;
      const backend = await openBackend(`${store}://127.0.0.1:${upstream.port}${path}`, { env: {} });
      const owner = someOwner();
      const lease = backend.lease(owner, 60);
      await lease.renew(signal);
      const service = `moved-${process.pid}`;
      const add = async (id: string) => {
        await lease.register(someInstance(owner, { service, id: `${owner.node}:${id}` }), signal);
      };
      await add("before");

      const logFile = join(tempDir("moved"), "log");
      const shows = (id: string) => readFileSync(logFile, "utf8").includes(`${owner.node}:${id}"`);
      const command = [process.execPath, cli, "services", service, "--watch", "--json"];
      const watching = await startProcess({
        name: "portolan services --watch",
        command: "unshare",
        args: ["--mount", "sh", "-c", enter, "sh", hosts, ...command, `${store}://${name}:${port}${path}`],
        logFile,
        ready: () => shows("before"),
      });
      moveTo("127.0.0.2");
      old.refuse();
      const begun = performance.now();
      await add("after");
      await waitFor("the change", () => shows("after"), { within: 50_000 });
      // A client that keeps an address, or asks for another one after half a minute only, is later.
      expect(performance.now() - begun).toBeLessThan(20_000);
      expect(next.counts().connections).toBeGreaterThan(0);

      await watching.stop();
      await lease.release(signal);
      await backend.close();
      await Promise.all([old.stop(), next.stop()]);
    },
  );
});
