import type { Histogram, Counter as PromCounter, Registry } from "prom-client";
import { monotonic } from "../clock.ts";
import type { DaemonStatus } from "../daemon-status.ts";
import { type Counter, counters, type Meter, type Timing, timings } from "../meter.ts";
import { type Gauge, gaugesOf } from "./gauges.ts";
import { createRecent, type Recent } from "./recent.ts";

/** What the process is, for `build_info`. */
export interface Build {
  readonly version: string;
  /** `registrator`, `templater` or `agent`. */
  readonly command: string;
}

/** The counts of one process, and how Prometheus reads them. */
export interface Metrics {
  readonly meter: Meter;
  /** What was measured last, for the page. */
  recent(): readonly Recent[];
  readonly contentType: string;
  /** All of them in Prometheus' text format, with what the status says now. */
  text(status: DaemonStatus, notReady: readonly string[], build: Build): Promise<string>;
}

/** Bounds of the histograms in seconds: from one write to a local store to a reload that takes its time. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What was counted before there was anybody to count it. */
const mostWaiting = 1_000;

/**
 * Counts in prom-client. That takes a tenth of a second and some MB to load, for which no start has to wait: until
 * somebody asks, or much has been counted, what is counted is kept as it came.
 */
export function createMetrics(): Metrics {
  let waiting: ((to: Meter) => void)[] = [];
  let opened: Promise<Opened> | undefined;
  let counting: Meter | undefined;
  const recent = createRecent();

  const open = () => {
    opened ??= openRegistry().then((now) => {
      counting = now.meter;
      for (const repeat of waiting) repeat(counting);
      waiting = [];
      return now;
    });
    return opened;
  };
  const later = (repeat: (to: Meter) => void) => {
    if (counting) return repeat(counting);
    waiting.push(repeat);
    // A package that cannot be loaded must not fill the memory; whoever asks is told of it.
    if (waiting.length > mostWaiting) {
      waiting.shift();
      open().catch(() => {});
    }
  };

  return {
    meter: {
      count(name, labels, by) {
        recent.meter.count(name, labels, by);
        later((to) => to.count(name, labels, by));
      },
      time(name, labels, ms) {
        recent.meter.time(name, labels, ms);
        later((to) => to.time(name, labels, ms));
      },
    },
    recent: recent.list,
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    async text(status, notReady, build) {
      const { registry, gauge } = await open();
      for (const each of [...gaugesOf(status, notReady), ...processGauges(build)]) gauge(each);
      return registry.metrics();
    },
  };
}

/** prom-client, with all of our tables in it. */
interface Opened {
  readonly meter: Meter;
  readonly registry: Registry;
  /** Replaces all samples of a gauge. */
  gauge(gauge: Gauge): void;
}

async function openRegistry(): Promise<Opened> {
  const prom = (await import("prom-client")).default;
  const registry = new prom.Registry();
  const registers = [registry];
  const created = new Map<string, PromCounter | Histogram>();
  const gauges = new Map<string, InstanceType<typeof prom.Gauge>>();
  new prom.Counter({
    name: "portolan_cpu_seconds_total",
    help: "Time of a processor that the process has used",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  for (const [name, { help, labels }] of Object.entries(counters)) {
    const labelNames: string[] = [...labels];
    created.set(name, new prom.Counter({ name: `portolan_${name}_total`, help, labelNames, registers }));
  }
  for (const [name, { help, labels }] of Object.entries(timings)) {
    const labelNames: string[] = [...labels];
    created.set(
      name,
      new prom.Histogram({ name: `portolan_${name}_seconds`, help, labelNames, buckets, registers }),
    );
  }
  return {
    registry,
    meter: {
      count: (name: Counter, labels, by = 1) => (created.get(name) as PromCounter).inc(labels, by),
      time: (name: Timing, labels, ms) => (created.get(name) as Histogram).observe(labels, ms / 1000),
    },
    gauge({ name, help, samples }) {
      gauges.get(name)?.reset();
      const [first] = samples;
      // Before the first sample nobody knows the labels.
      if (first === undefined) return;
      const labelNames = Object.keys(first.labels);
      const gauge =
        gauges.get(name) ?? new prom.Gauge({ name: `portolan_${name}`, help, labelNames, registers });
      gauges.set(name, gauge);
      for (const { labels, value } of samples) gauge.set(labels, value);
    },
  };
}

/** What build it is, and what the process uses. */
function processGauges({ version, command }: Build): readonly Gauge[] {
  const plain = (name: string, help: string, value: number): Gauge => ({
    name,
    help,
    samples: [{ labels: {}, value }],
  });
  return [
    {
      name: "build_info",
      help: "1, with what runs here",
      samples: [{ labels: { version, command, node: process.version }, value: 1 }],
    },
    plain("uptime_seconds", "For how long the process runs", monotonic() / 1000),
    plain("resident_memory_bytes", "Memory of the process", process.memoryUsage.rss()),
  ];
}
