import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";

/** The arrows of docs/architecture.md: what the files of each place may import, besides their own place. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  handlebars: ["errors.ts", "instance.ts", "nearest.ts"],
  registrator: [
    "backends/backend.ts",
    "clock.ts",
    "daemon-status.ts",
    "daemon.ts",
    "errors.ts",
    "handlebars",
    "instance.ts",
    "local-containers.ts",
    "log.ts",
    "loop.ts",
    "meter.ts",
    "override.ts",
    "run-command.ts",
    "source.ts",
    "state-dir.ts",
  ],
  templater: [
    "acknowledgement.ts",
    "alive.ts",
    "backends/backend.ts",
    "clock.ts",
    "daemon-status.ts",
    "daemon.ts",
    "durable.ts",
    "errors.ts",
    "handlebars",
    "held-lock.ts",
    "instance.ts",
    "local-containers.ts",
    "log.ts",
    "loop.ts",
    "meter.ts",
    "run-command.ts",
    "source.ts",
    "state-dir.ts",
    "watched-files.ts",
  ],
  backends: ["clock.ts", "errors.ts", "instance.ts", "source.ts"],
  // Pure: files are read for it.
  migrate: ["instance.ts", "templater/helpers/index.ts"],
  status: ["clock.ts", "daemon-status.ts", "daemon.ts", "errors.ts", "instance.ts", "meter.ts"],
  // Runs in browsers: of all others it sees types only.
  page: ["daemon-status.ts", "status/pieces.ts"],
  // Data and pure functions know nothing of the daemons.
  "acknowledgement.ts": ["errors.ts", "instance.ts"],
  "instance.ts": ["errors.ts"],
  "override.ts": ["errors.ts", "instance.ts"],
  "source.ts": ["errors.ts"],
  "held-lock.ts": ["backends/backend.ts", "clock.ts"],
  "local-containers.ts": ["source.ts"],
  "loop.ts": ["clock.ts"],
  "run-command.ts": ["clock.ts"],
  "state-dir.ts": ["alive.ts", "durable.ts", "errors.ts"],
  "durable.ts": [],
  "watched-files.ts": ["clock.ts"],
  "alive.ts": [],
  "clock.ts": [],
  "errors.ts": [],
  "daemon.ts": ["daemon-status.ts"],
  "daemon-status.ts": ["instance.ts", "override.ts"],
  "meter.ts": [],
};

/** The rooms of the registrator: what the files of each may import of the registrator, besides their own room. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  docker: [],
  address: ["docker", "rules"],
  rules: ["docker", "address", "roles", "settings.ts"],
  compat: ["docker", "address", "rules"],
  roles: [],
  overrides: ["plan.ts", "rules"],
};

/** Which places may import a package; each client has one home. */
const packages: Readonly<Record<string, RegExp>> = {
  "@redis/client": /^registrator\/roles\/redis\.ts$/,
  chokidar: /^(backends\/file|watched-files)/,
  commander: /^(cli\.ts|config\/|commands\/)/,
  consul: /^backends\/consul/,
  diff: /^(commands|templater)\//,
  dockerode: /^registrator\/docker\//,
  etcd3: /^backends\/etcd/,
  handlebars: /^handlebars\/|^templater\//,
  mysql2: /^registrator\/roles\/mysql\.ts$/,
  "node-zookeeper-client": /^backends\/zookeeper/,
  pino: /^log/,
  postgres: /^registrator\/roles\/postgres\.ts$/,
  "prom-client": /^status\//,
  re2js: /^handlebars\//,
  "smol-toml": /^migrate\//,
  yaml: /^(config|migrate|templater)\//,
  zod: /^config\//,
};

/** The files that may read the environment, end the process, or see its arguments. */
const edges = /^(cli\.ts|compile-ahead\.ts|config\/.*|.*\/index\.ts)$/;

const root = join(import.meta.dirname, "../src");
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => ({ name, text: readFileSync(join(root, name), "utf8") }));

/** Everything a file imports, statically or lazily: local files relative to src, packages by name. */
function importsOf({ name, text }: { name: string; text: string }): string[] {
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"\s]+)"/g)].flatMap(
    (match) => match[1] ?? [],
  );
  return specifiers.map((specifier) =>
    specifier.startsWith(".") ? relative(root, join(root, dirname(name), specifier)) : specifier,
  );
}

/** The place that a file belongs to: its folder below src, or itself. */
const placeOf = (name: string) => (name.includes("/") ? (name.split("/")[0] ?? "") : name);

/** What a file of the page would bring into browsers. */
const foreign = /^import (?!type\b)[^;]*from "\.\.\//m;

describe("the architecture", () => {
  it("takes nothing but types into the page", () => {
    const wrong = files.filter(({ name, text }) => name.startsWith("page/") && foreign.test(text));
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it.each(files.map((file) => [file.name, file] as const))("%s keeps the arrows", (name, file) => {
    const place = placeOf(name);
    const allowed = arrows[place];
    const wrong = importsOf(file).filter((target) => {
      if (target.startsWith("node:") || target === "../package.json") return false;
      if (!target.endsWith(".ts")) {
        const [scope = "", second] = target.split("/");
        const home = packages[scope.startsWith("@") ? `${scope}/${second}` : scope];
        return !home?.test(name);
      }
      const there = placeOf(target);
      return (
        allowed !== undefined && there !== place && !allowed.some((one) => one === target || one === there)
      );
    });
    expect(wrong).toEqual([]);
  });

  it.each(Object.entries(rooms))("registrator/%s keeps to its room", (room, others) => {
    const home = "registrator/";
    const allowed = [room, ...others];
    const wrong = files
      .filter(({ name }) => name.startsWith(`${home}${room}/`))
      .flatMap((file) => importsOf(file).filter((target) => target.startsWith(home)))
      .filter((target) => {
        const [first = ""] = target.slice(home.length).split("/");
        return !allowed.includes(first);
      });
    expect(wrong).toEqual([]);
  });

  it("reads clocks and sets timers in clock.ts only, the page in its own", () => {
    const clocks = new Set(["clock.ts", "page/clock.ts"]);
    const timers =
      /(?<!\.)\b(setTimeout|setInterval|setImmediate)\b|\b(Date\.now|performance\.now|AbortSignal\.timeout)\b|new Date\(\)/;
    const wrong = files.filter(({ name, text }) => !clocks.has(name) && timers.test(withoutComments(text)));
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it("reads the environment and ends the process at the edges only", () => {
    const edge = /\bprocess\.(env|exit|argv|exitCode)\b/;
    const wrong = files.filter(({ name, text }) => !edges.test(name) && edge.test(withoutComments(text)));
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it("logs nothing in backends", () => {
    const wrong = files.filter(
      ({ name, text }) => name.startsWith("backends/") && /\b(console|log)\./.test(withoutComments(text)),
    );
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}
