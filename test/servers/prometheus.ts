import { join } from "node:path";
import { ensureInstalled } from "./install.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** A Prometheus on 127.0.0.1. */
export interface Prometheus extends TestServer {
  /** The value of each series that a query gives now, by its labels as `name="value"`, in order. */
  query(expression: string): Promise<Readonly<Record<string, number>>>;
}

/** Starts a Prometheus with a configuration file, and waits until it answers. */
export async function startPrometheus(config: string): Promise<Prometheus> {
  const { prometheus } = await ensureInstalled(["prometheus"]);
  const dir = tempDir("prometheus");
  const url = `http://127.0.0.1:${await freePort()}`;
  const server = await startServer({
    name: "prometheus",
    command: prometheus.prometheus,
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=${new URL(url).host}`,
    ],
    dir,
    dataDir: join(dir, "data"),
    logFile: join(dir, "log"),
    ready: async () => (await fetch(`${url}/-/ready`)).ok,
  });
  return {
    ...server,
    async query(expression) {
      const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { data } = (await answer.json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      return Object.fromEntries(
        data.result.map(({ metric, value }) => [
          Object.entries(metric)
            .filter(([name]) => !["__name__", "instance", "job"].includes(name))
            .map(([name, text]) => `${name}="${text}"`)
            .sort()
            .join(","),
          Number(value[1]),
        ]),
      );
    },
  };
}
