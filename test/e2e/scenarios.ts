import { execFileSync } from "node:child_process";
import { renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type Pipeline, patience, startPipeline } from "./pipeline.ts";
import { portolan, startProgram } from "./program.ts";
import { proxies } from "./proxy-under-test.ts";

/** A store under test: its URL, and how it is taken down and brought back, if it is a server. */
export interface Store {
  readonly url: string;
  restart?(): Promise<void>;
  stop(): Promise<void>;
}

/** Everything that the whole pipeline promises on one backend, with each load balancer. */
export function pipelineScenarios(scheme: string, start: () => Promise<Store>): void {
  const inOneProcess = scheme === "memory";
  let host: DockerHost;
  let store: Store;
  beforeAll(async () => {
    [host, store] = await Promise.all([startDockerHost({ liveRestore: true }), start()]);
    await importWebImage(host);
  });
  afterAll(() => Promise.all([store?.stop(), host?.stop()]));

  describe.each(proxies)(`${scheme}: with %s`, (proxyName) => {
    let line: Pipeline;
    beforeAll(async () => {
      line = await startPipeline({
        backend: store.url,
        proxy: proxyName,
        docker: host,
        name: `${scheme}-${proxyName}`,
      });
    });
    afterAll(() => line?.stop());

    afterEach(() => line.clear());

    const oldWorkersEnd = () =>
      waitFor("old workers to end", () => line.workers().length === line.proxy.workers, { within: 30_000 });

    /** Asks for a page again and again while `work` runs; returns everything but 200. */
    const underLoad = async (page: string, work: () => Promise<void>): Promise<readonly string[]> => {
      // A worker of before the page's own reload may still answer beside the first new one.
      await oldWorkersEnd();
      const failures: string[] = [];
      let going = true;
      const asking = (async () => {
        while (going) {
          const answer = await line.get(page).catch((error: Error) => ({ status: 0, body: error.message }));
          if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })();
      await work();
      going = false;
      await asking;
      return failures;
    };
    const checkPasses = (text: string) => {
      const file = join(tempDir("check"), "config");
      writeFileSync(file, text);
      const [program = "", ...args] = line.proxy.check.map((arg) => arg.replace("{{src}}", file));
      execFileSync(program, args, { stdio: "pipe" });
    };
    const services = async (): Promise<readonly Instance[]> =>
      JSON.parse((await portolan(["services", "--json", store.url])).stdout);

    it("R1 R2: traffic comes when a container starts and leaves when it stops or is killed", async () => {
      const web = await line.web("one");
      await line.answers("one.test", { status: 200, body: web.name });
      await web.stop();
      await line.answers("one.test", { status: 404 });
      await web.start();
      await line.answers("one.test", { status: 200, body: web.name });
      await web.kill();
      await line.answers("one.test", { status: 404 });
      expect(line.config()).not.toContain("one.test");
    });

    it("R6 R7: a draining container gets no new traffic while it still runs", async () => {
      const web = await line.web("drain", { lingers: 30 });
      await line.answers("drain.test", { status: 200 });
      await line.docker.docker(["kill", "--signal", "TERM", web.id]);
      await line.answers("drain.test", { status: 503 });
      await web.remove();
      await line.answers("drain.test", { status: 404 });
    });

    it("R2 R3: a registrator that is restarted or killed leaves no gap, and the next one takes over", async () => {
      const web = await line.web("two");
      await line.answers("two.test", { status: 200, body: web.name });
      const failures = await underLoad("two.test", async () => {
        for (const how of ["stop", "kill"] as const) {
          await line.registrator.restart(how);
          await line.ready();
          await line.answers("two.test", { status: 200 });
        }
        const later = await line.web("later");
        await line.answers("later.test", { status: 200, body: later.name });
      });
      expect(failures).toEqual([]);
    });

    it("R1: a container that ended while the registrator was away is gone after its return", async () => {
      const web = await line.web("away");
      await line.answers("away.test", { status: 200 });
      await line.registrator.kill();
      await web.remove();
      await line.registrator.start();
      await line.answers("away.test", { status: 404 });
      await line.ready();
    });

    it("R8: a Docker that is killed and comes back takes no traffic away", async () => {
      const web = await line.web("docker");
      await line.answers("docker.test", { status: 200, body: web.name });
      const before = line.config();
      await host.kill();
      await waitFor("the registrator to notice", () => line.registrator.notReady(), { within: patience });
      expect(line.config()).toBe(before);
      await host.startDaemon();
      await line.ready();
      await line.answers("docker.test", { status: 200, body: web.name });
      expect(line.config()).toBe(before);
      const next = await line.web("after-docker");
      await line.answers("after-docker.test", { status: 200, body: next.name });
    });

    // The load balancer has no part in it.
    it.skipIf(inOneProcess || proxyName !== proxies[0])(
      "R3: another Docker under the same node name is refused and touches nothing",
      async () => {
        const web = await line.web("mine");
        await line.answers("mine.test", { status: 200, body: web.name });
        const before = await services();
        const other = await startDockerHost();
        try {
          const stranger = await startProgram("registrator", [
            ...line.registratorArgs({ docker: other.dockerHost, ip: other.address }),
            store.url,
          ]);
          const reason = await waitFor(
            "the refusal",
            async () => {
              const reasons = await stranger.notReady();
              if (!reasons.includes("NODE_TAKEN")) throw new Error(`not refused; /readyz: ${reasons}`);
              return reasons;
            },
            { within: patience * 3 },
          );
          expect(reason).toContain(line.node);
          expect(await services()).toEqual(before);
          await stranger.stop();
        } finally {
          await other.stop();
        }
        expect((await line.get("mine.test")).body).toBe(web.name);
      },
    );

    it.skipIf(inOneProcess || scheme === "file")(
      "a backend that restarts takes no traffic away",
      async () => {
        const web = await line.web("store");
        await line.answers("store.test", { status: 200, body: web.name });
        const before = line.config();
        const failures = await underLoad("store.test", async () => {
          await store.restart?.();
          await line.ready();
        });
        expect(failures).toEqual([]);
        expect(line.config()).toBe(before);
        const next = await line.web("after-store");
        await line.answers("after-store.test", { status: 200, body: next.name });
      },
    );

    it("T1 T2: a templater that is killed at any moment leaves a whole file that passes its check", async () => {
      const seen = new Set<string>();
      for (let round = 0; round < 3; round++) {
        const web = await line.web(`kill-${round}`);
        await line.templater.kill();
        seen.add(line.config());
        await line.templater.start();
        await line.answers(`kill-${round}.test`, { status: 200 });
        seen.add(line.config());
        await web.remove();
      }
      expect(seen.size).toBeGreaterThanOrEqual(3);
      for (const text of seen) checkPasses(text);
    });

    it("T1: what a check refuses never reaches the live file, and its output is shown", async () => {
      await line.web("hostile", { labels: { SERVICE_HTTP_HOST: "x.test; } server { #" } });
      const good = await line.web("good");
      await line.answers("good.test", { status: 200, body: good.name });
      checkPasses(line.config());
      expect(line.config()).not.toContain("x.test");
    });

    it("T5: a restart of the templater writes and reloads nothing", async () => {
      const web = await line.web("same");
      await line.answers("same.test", { status: 200, body: web.name });
      await line.ready();
      const world = () => {
        const { ctimeNs } = statSync(line.proxy.config, { bigint: true });
        return { ctimeNs, workers: line.workers() };
      };
      await oldWorkersEnd();
      const before = world();
      await line.templater.restart();
      await line.ready();
      expect(world()).toEqual(before);
    });

    it("T7: a reload that failed is tried again, also after a crash", async () => {
      const hidden = `${line.proxy.pidFile}.hidden`;
      renameSync(line.proxy.pidFile, hidden);
      const web = await line.web("owed");
      await waitFor("the swap", () => line.config().includes("owed.test"), { within: patience });
      await waitFor("the report", async () => (await line.templater.notReady()).includes("RELOAD_FAILED"), {
        within: patience,
      });
      expect((await line.get("owed.test")).status).toBe(404);
      await line.templater.kill();
      renameSync(hidden, line.proxy.pidFile);
      await line.templater.start();
      await line.answers("owed.test", { status: 200, body: web.name });
      await line.ready();
    });
  });
}
