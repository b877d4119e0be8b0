// Everything that a failover needs: a Docker, a cluster in it, Portolan, HAProxy, and those who watch.

import { join } from "node:path";
import { ensureInstalled } from "../../test/servers/install.ts";
import { freePort } from "../../test/servers/ports.ts";
import { executable } from "../../test/servers/programs.ts";
import { tempDir } from "../../test/servers/run.ts";
import { findDocker, useDocker } from "../demo/docker.ts";
import { type Applied, type RecordChange, watchLog, watchRecords } from "../demo/journal.ts";
import type { Life } from "../demo/life.ts";
import { type Pipeline, startPipeline } from "../demo/pipeline.ts";
import { failoverLabel, prepareContainers, shortName } from "./containers.ts";
import type { Cluster, Session, Store } from "./store.ts";

/** A cluster behind HAProxy. */
export interface Stage {
  readonly cluster: Cluster;
  readonly pipeline: Pipeline;
  /** Every change of a record and every new file since the start, oldest first; the lists grow. */
  readonly records: readonly RecordChange[];
  readonly applied: readonly Applied[];
  /** A connection through HAProxy's port for writers. */
  connect(): Promise<Session>;
  /** A connection to a server itself. */
  direct(server: string): Promise<Session>;
}

/** What differs from the defaults, for measurements. */
export interface StageOptions {
  /** The check of each rendered file, an argv (default: `haproxy -c`). */
  readonly check?: readonly string[];
}

/** Starts all of it; at the end of `life` it is taken away. */
export async function startStage(life: Life, store: Store, options: StageOptions = {}): Promise<Stage> {
  const dir = tempDir("failover");
  life.logsIn(dir);
  const found = await findDocker(life.signal);
  const wanted = [
    ...store.programs,
    "haproxy",
    "busybox",
    ...("none" in found ? (["docker"] as const) : []),
  ] as const;
  await life.step(
    "Programs",
    () => ensureInstalled(wanted),
    () => wanted.join(", "),
  );
  const docker = await useDocker(life, found, dir);
  const ports = { write: await freePort(), read: await freePort() };
  const containers = await prepareContainers(life, { client: docker.client, dir }, store, ports);
  const cluster = await life.step(
    `${store.title}, a master and its slaves`,
    () => store.start(containers),
    ({ servers, addressOf }) => servers.map((name) => `${name} ${addressOf(name)}`).join(", "),
  );
  const [probeInterval, pidfile] = ["500ms", join(dir, "haproxy.pid")];
  const pipeline = await startPipeline(
    life,
    { dir, docker, haproxy: executable("haproxy") ?? "haproxy" },
    {
      registrator: { ip: "127.0.0.1", select: failoverLabel, probeInterval },
      target: {
        reload: { haproxy: { socket: join(dir, "admin.sock"), pidfile } },
        // The last master stays in the file until there is another one.
        guard: { oneMaster: [store.service] },
        ...(options.check && { check: options.check }),
      },
      template: "haproxy-failover.cfg.hbs",
      env: {
        PORTOLAN_FAILOVER_ADDRESS: "127.0.0.1",
        PORTOLAN_STATUS_BIND: `127.0.0.1:${await freePort()}`,
      },
      port: ports.write,
      listens: `127.0.0.1:${ports.write} for writers and :${ports.read} for readers`,
    },
  );
  const records: RecordChange[] = [];
  const applied: Applied[] = [];
  await watchRecords(life, pipeline.backend, (change) =>
    records.push({ ...change, name: shortName(change.name) }),
  );
  await watchLog(life, pipeline.templater.logFile, (one) => applied.push(one));
  return {
    cluster,
    pipeline,
    records,
    applied,
    connect: () => cluster.connect("127.0.0.1", ports.write),
    direct: (server) => cluster.connect(cluster.addressOf(server), store.port),
  };
}
