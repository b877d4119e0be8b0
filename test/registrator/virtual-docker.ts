import { PortolanError } from "../../src/errors.ts";
import {
  type DockerClient,
  type DockerEvent,
  type Listed,
  UnreadError,
} from "../../src/registrator/docker/client.ts";
import type { Container } from "../../src/registrator/docker/container.ts";
import { localContainer } from "../local-container.ts";
import { container, published, unlisted } from "./build.ts";
import { chance, pause } from "./virtual-clock.ts";

/** A container of a Docker that exists in this process only. */
export interface Virtual {
  name: string;
  running: boolean;
  paused: boolean;
  health: Container["health"];
  hostPort: number;
  exitCode: number;
  /** Unix seconds on the daemon's clock. */
  started: number;
  labels: Record<string, string>;
  env: Record<string, string>;
  /** It got its stop signal and still runs. */
  draining: boolean;
  /** How Docker fails to describe it: at once, after 10 s, or at once and only the next time. */
  sick: false | "fails" | "hangs" | "once";
  /** It has ended and Docker is about to start it again. */
  restarting?: boolean;
  /** The id of the container whose network it uses. */
  network?: string;
}

/** What becomes of an event: told once, twice, never, or when `deliver` is called. */
export type Telling = "once" | "twice" | "never" | "late";

/** A Docker whose world, answers and events a test decides, in virtual time. */
export function virtualDocker() {
  const containers = new Map<string, Virtual>();
  const streams = new Set<Stream>();
  const inspects: string[] = [];
  let log: DockerEvent[] = [];
  let held: DockerEvent[] = [];
  const daemon = {
    up: true,
    /** Unix seconds at virtual time 0. */
    clock: 1_700_000_000,
    /** The longest time that an answer takes, in ms. */
    slow: 5,
  };
  let elapsed = () => 0;
  const now = () => daemon.clock + elapsed() / 1000;

  const down = () => new PortolanError("DOCKER_UNREACHABLE", "Docker is down");
  /** Takes some time before or after the truth is looked at, and fails when Docker goes down meanwhile. */
  const answer = async <T>(signal: AbortSignal, look: () => T): Promise<T> => {
    if (chance() < 0.5) await pause(chance() * daemon.slow, signal);
    if (!daemon.up || signal.aborted) throw down();
    const found = look();
    if (chance() < 0.5) await pause(chance() * daemon.slow, signal);
    if (!daemon.up || signal.aborted) throw down();
    return found;
  };
  const describe = (id: string, of: Virtual): Container =>
    container({
      id,
      name: of.name,
      created: `2026-01-01T00:00:0${id.length % 10}Z`,
      started: new Date(of.started * 1000).toISOString(),
      paused: of.paused,
      health: of.health,
      labels: { ...of.labels },
      env: { ...of.env },
      ports: [published(80, of.hostPort)],
      ...(of.network !== undefined && {
        networkMode: `container:${of.network}`,
        networks: [],
        ports: [unlisted(80)],
      }),
    });
  const port = (of: Virtual) => ({ PrivatePort: 80, PublicPort: of.hostPort, Type: "tcp" });
  const listed = (id: string, of: Virtual): Listed => {
    const health =
      of.health === "none" ? "" : ` (${of.health === "starting" ? "health: starting" : of.health})`;
    return {
      Id: id,
      Names: [`/${of.name}`],
      State: of.restarting ? "restarting" : of.running ? (of.paused ? "paused" : "running") : "exited",
      Status: of.running ? `Up 1 second${health}` : `Exited (${of.exitCode}) 1 second ago`,
      Ports: of.network === undefined ? ["0.0.0.0", "::"].map((IP) => ({ ...port(of), IP })) : [],
      NetworkSettings: { Networks: of.network === undefined ? { bridge: { IPAddress: "172.17.0.2" } } : {} },
    };
  };

  const tell = (event: DockerEvent) => {
    for (const stream of streams) stream.push(event);
  };

  return {
    containers,
    daemon,
    /** The ids that were asked about, in order. */
    inspects,
    now,
    /** How the daemon's clock gets on. */
    runs(by: () => number) {
      elapsed = by;
    },
    emit(
      telling: Telling,
      action: string,
      id: string,
      attributes: Record<string, string> = {},
      type = "container",
    ) {
      if (!daemon.up) return;
      const event = { type, action, id, attributes, time: now() };
      log = [...log, event].slice(-256);
      if (telling === "late") held.push(event);
      if (telling === "once" || telling === "twice") tell(event);
      if (telling === "twice") tell(event);
    },
    /** Tells what is late, the latest first. */
    deliver() {
      for (const event of held.reverse()) tell(event);
      held = [];
    },
    cut() {
      for (const stream of streams) stream.end();
    },
    /** Ends the daemon. What it knew of events is lost. */
    crash() {
      daemon.up = false;
      for (const stream of streams) stream.end();
      [log, held] = [[], []];
    },
    async connect(_url: string, _env: unknown, signal: AbortSignal): Promise<DockerClient> {
      const time = await answer(signal, now);
      return {
        engine: "T5AP:HDRY",
        hostname: "host1",
        apiVersion: "1.41",
        now: time,
        list: (ended, outer) =>
          answer(outer, () =>
            [...containers]
              .filter(([, { running, restarting }]) => ended || running || restarting)
              .map(([id, of]) => listed(id, of)),
          ),
        async inspect(id, readable, outer) {
          inspects.push(id);
          const asked = containers.get(id);
          if (asked?.sick) {
            if (asked.sick === "hangs") await pause(10_000, outer);
            if (asked.sick === "once") asked.sick = false;
            throw new UnreadError("DOCKER_UNREACHABLE", `container ${id} cannot be read`);
          }
          return answer(outer, () => {
            const of = containers.get(id);
            if (!of) return undefined;
            const { env, ...described } = describe(id, of);
            const kept = Object.fromEntries(Object.entries(env).filter(([name]) => readable(name)));
            return {
              container: { ...described, env: kept },
              exitCode: of.running ? undefined : of.exitCode,
              running: of.running,
              networks: ["1"],
              describe: (internal) => {
                const { name, labels } = of;
                const status = of.running ? (of.paused ? "paused" : "running") : "exited";
                const health = { status: of.health === "none" ? "" : of.health };
                const state = { status, running: of.running, health, exitCode: of.running ? 0 : of.exitCode };
                return localContainer(
                  { id, name, labels: { ...labels }, env: { ...of.env }, state },
                  internal,
                );
              },
            };
          });
        },
        networks: (outer) => answer(outer, () => new Map([["1", false]])),
        async events(since, outer) {
          if (!daemon.up) throw down();
          const stream = createStream(
            outer,
            () => daemon.slow,
            () => streams.delete(stream),
          );
          streams.add(stream);
          for (const event of log) if (event.time >= since) stream.push(event);
          return stream.events;
        },
        past: (since, until, outer) =>
          answer(outer, () => log.filter(({ time }) => time >= since && time <= until)),
      };
    },
  };
}
export type VirtualDocker = ReturnType<typeof virtualDocker>;

interface Stream {
  readonly events: AsyncIterable<DockerEvent>;
  push(event: DockerEvent): void;
  end(): void;
}

/** `slow` is the longest time, in ms, after which the first event comes. */
function createStream(signal: AbortSignal, slow: () => number, ended: () => void): Stream {
  const queue: DockerEvent[] = [];
  let over = false;
  let wake = () => {};
  const end = () => {
    over = true;
    ended();
    wake();
  };
  signal.addEventListener("abort", end, { once: true });
  async function* read() {
    await pause(chance() * slow(), signal);
    for (;;) {
      const next = queue.shift();
      if (next) yield next;
      else if (over) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    events: read(),
    push(event) {
      queue.push(event);
      wake();
    },
    end,
  };
}
