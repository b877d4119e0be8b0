import type { Daemon } from "../../src/daemon.ts";
import type { Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { settings } from "./build.ts";
import { type FaultyMemory, faultyMemory } from "./faulty-memory.ts";
import { advance, chance, finish, monotonic, reset } from "./virtual-clock.ts";
import { type Telling, type Virtual, type VirtualDocker, virtualDocker } from "./virtual-docker.ts";

/** A Docker, a backend and a registrator between them. */
export async function startWorld(seed: number, over: Partial<RegistratorSettings> = {}) {
  reset(seed);
  const docker: VirtualDocker = virtualDocker();
  docker.runs(monotonic);
  const store: FaultyMemory = await faultyMemory();
  const lines: string[] = [];
  const log = new Proxy({} as Log, {
    get: (_log, level) => (fields: object, text: string) =>
      void lines.push(`${String(level)} ${text} ${JSON.stringify(fields)}`),
  });
  /** Records that were removed although their container ran with their very port. */
  const wronged: string[] = [];
  store.script.removes = ({ id, port, container }) => {
    const one = docker.containers.get(container?.id ?? "");
    if (one && portOf(one) === port && id === `host1:${one.name}:80`) wronged.push(id);
  };
  /** The host's port at which a container answers; undefined where none does. */
  const portOf = ({ running, hostPort, network }: Virtual): number | undefined => {
    if (!running) return undefined;
    if (network === undefined) return hostPort;
    const through = docker.containers.get(network);
    return through && portOf(through);
  };
  let port = 9000;
  let made = 0;
  let daemon: Daemon;
  const start = () => {
    daemon = startRegistrator({
      docker: "virtual",
      backends: [store.backend],
      settings: settings({ ip: "10.0.0.5", resync: 5000, ...over }),
      env: {},
      log,
      connect: docker.connect,
    });
  };
  start();
  const owner = { node: "host1", engine: "T5AP:HDRY", run: "somebody" };
  const of = (name: string) => [...docker.containers].find(([, one]) => one.name.startsWith(name));

  const begin = (id: string, one: Virtual, telling: Telling) => {
    // No process begins in the millisecond in which the one before has ended.
    docker.daemon.clock += 0.005;
    Object.assign(one, {
      running: true,
      paused: false,
      draining: false,
      hostPort: ++port,
      started: docker.now(),
    });
    docker.emit(telling, "start", id);
  };
  const plain = (name: string): Virtual => ({
    name,
    running: false,
    paused: false,
    health: "none",
    hostPort: 0,
    exitCode: 0,
    started: 0,
    labels: {},
    env: {},
    draining: false,
    sick: false,
  });
  const end = (id: string, one: Virtual, exitCode: number, telling: Telling) => {
    Object.assign(one, { running: false, paused: false, exitCode });
    docker.emit(telling, "die", id, { ...one.labels, name: one.name, exitCode: String(exitCode) });
  };

  const run = (name: string, telling: Telling, policy: string | undefined, inEnv = chance() < 0.5) => {
    const found = of(name);
    if (found?.[1].running) return;
    if (found) return begin(...found, telling);
    const given = policy === undefined ? {} : { SERVICE_DEREGISTER: policy };
    const one = { ...plain(name), labels: inEnv ? {} : given, env: inEnv ? given : {} };
    const id = `${name}${++made}`;
    docker.containers.set(id, one);
    begin(id, one, telling);
  };

  const acts: Record<string, (name: string, telling: Telling) => unknown> = {
    run: (name, telling) =>
      run(name, telling, ["always", "on-success", "never", undefined][Math.floor(chance() * 4)]),
    /** Its policy is in a label, which the event of its end tells if Docker cannot. */
    runKept: (name, telling) => run(name, telling, chance() < 0.5 ? "on-success" : "never", false),
    /** Runs a container that uses the network of this one. */
    beside(name, telling) {
      const network = of(name)?.[0];
      if (network === undefined || of("s")) return;
      const one = { ...plain("s"), network };
      const id = `s${++made}`;
      docker.containers.set(id, one);
      begin(id, one, telling);
    },
    exit: (name, telling) => up(name, (id, one) => end(id, one, 0, telling)),
    crash: (name, telling) => up(name, (id, one) => end(id, one, 1, telling)),
    crashLoop: (name, telling) =>
      up(name, async (id, one) => {
        for (let round = 0; round < 4; round += 1) {
          end(id, one, 1, telling);
          await advance(20);
          begin(id, one, telling);
          await advance(20);
        }
      }),
    stop: (name, telling) =>
      up(name, (id, one) => {
        docker.emit(telling, "kill", id, { signal: "15" });
        end(id, one, 143, telling);
      }),
    restart: (name, telling) =>
      up(name, (id, one) => {
        docker.emit(telling, "kill", id, { signal: "15" });
        end(id, one, 143, telling);
        begin(id, one, telling);
      }),
    signal: (name, telling) =>
      up(name, (id, one) => {
        const stops = chance() < 0.5;
        one.draining ||= stops;
        docker.emit(telling, "kill", id, { signal: stops ? "15" : "1" });
      }),
    pause: (name, telling) =>
      up(name, (id, one) => {
        one.paused = !one.paused;
        docker.emit(telling, one.paused ? "pause" : "unpause", id);
      }),
    health: (name, telling) =>
      up(name, (id, one) => {
        one.health =
          (["none", "starting", "healthy", "unhealthy"] as const)[Math.floor(chance() * 4)] ?? "none";
        docker.emit(telling, `health_status: ${one.health}`, id);
      }),
    rename(name, telling) {
      const found = of(name);
      if (!found) return;
      found[1].name = `${name}-${++made}`;
      docker.emit(telling, "rename", found[0]);
    },
    network: (name, telling) =>
      up(name, (id) => docker.emit(telling, "connect", "bridge", { container: id }, "network")),
    remove(name, telling) {
      const found = of(name);
      if (!found) return;
      if (found[1].running) {
        docker.emit(telling, "kill", found[0], { signal: "9" });
        end(...found, 137, telling);
      }
      docker.containers.delete(found[0]);
      docker.emit(telling, "destroy", found[0]);
    },
    sicken(name) {
      const found = of(name);
      if (found) found[1].sick = found[1].sick ? false : chance() < 0.5 ? "fails" : "hangs";
    },
    hiccup(name) {
      const found = of(name);
      if (found) found[1].sick = "once";
    },
    deliver: () => docker.deliver(),
    cut: () => docker.cut(),
    async dockerRestart() {
      docker.crash();
      const liveRestore = chance() < 0.5;
      for (const one of docker.containers.values()) {
        if (!liveRestore) Object.assign(one, { running: false, paused: false, exitCode: 255 });
      }
      await advance(chance() * 3000);
      docker.daemon.up = true;
    },
    dockerClock: () => {
      docker.daemon.clock += (chance() - 0.5) * 7200;
    },
    dockerSlow: () => {
      docker.daemon.slow = docker.daemon.slow > 5 ? 5 : 500;
    },
    refuse: () => {
      store.script.mode = store.script.mode === "refuses" ? "ok" : "refuses";
    },
    hang: () => {
      store.script.mode = store.script.mode === "hangs" ? "ok" : "hangs";
    },
    storeSlow: () => {
      store.script.slow = store.script.slow > 5 ? 5 : 500;
    },
    wipe: () => store.wipe(owner),
    lose: async () => {
      await store.wipe(owner);
      store.script.lost = true;
    },
    async upgrade() {
      await finish(daemon.stop());
      start();
    },
  };
  const up = (name: string, act: (id: string, one: Virtual) => unknown) => {
    const found = of(name);
    return found?.[1].running ? act(...found) : undefined;
  };

  /** Ends all faults. */
  const heal = () => {
    docker.daemon.up = true;
    docker.daemon.slow = 5;
    docker.deliver();
    for (const one of docker.containers.values()) one.sick = false;
    Object.assign(store.script, { mode: "ok", slow: 5 });
  };

  /** What the backend should hold of the containers that run: id, host port and state. */
  const truth = () =>
    [...docker.containers.values()]
      .filter((one) => portOf(one) !== undefined)
      .map((one) => {
        const { name, paused, health, draining } = one;
        const healthState = health === "starting" || health === "unhealthy" ? health : "ready";
        const state = draining ? "draining" : paused ? "paused" : healthState;
        return `host1:${name}:80 ${portOf(one)} ${state}`;
      })
      .sort();
  /** The same as the backend has it, without what it may keep of containers that ended. */
  const held = () =>
    store
      .records()
      .filter(({ state, container }) => {
        const one = docker.containers.get(container?.id ?? "");
        const policy = one?.labels.SERVICE_DEREGISTER ?? one?.env.SERVICE_DEREGISTER ?? "always";
        const keeps =
          policy === "never" || (policy === "on-success" && [1, 255].includes(one?.exitCode ?? 0));
        return !(one && !one.running && keeps && state === "unhealthy");
      })
      .map(({ id, port, state }) => `${id} ${port} ${state}`)
      .sort();

  return {
    docker,
    store,
    lines,
    wronged,
    owner,
    truth,
    held,
    notReady: () => daemon.notReady(),
    async go(...steps: readonly (readonly [string, string?, Telling?, number?])[]) {
      for (const [what, name = "a", telling = "once", wait = 10] of steps) {
        await acts[what]?.(name, telling);
        if (wait > 0) await advance(wait);
      }
    },
    heal,
    /** Ends all faults and waits for longer than anything may take. */
    async settle() {
      heal();
      await advance(80_000);
      for (const one of docker.containers.values()) one.draining = false;
    },
    stop: () => finish(daemon.stop()),
    /** Begins the end, and does not wait for it. */
    end: (hurry?: AbortSignal) => daemon.stop(hurry),
  };
}
