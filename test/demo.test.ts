import { describe, expect, inject, it } from "vitest";
import { leftBy, type RunOptions, runExample } from "./run-example.ts";
import { dockerCli } from "./servers/docker.ts";
import { runWeb } from "./servers/image.ts";

/** `npm run demo -- --exit`. */
const runDemo = (options?: RunOptions, args: readonly string[] = []) =>
  runExample("demo/demo.ts", ["--exit", ...args], options);

/** A line of the timeline; the parts after the container are regular expressions. */
function row(event: string, container: string, record: string, ...more: readonly string[]): RegExp {
  const words = [String.raw`\d\d:\d\d:\d\d\.\d{3}`, event, container, String.raw`\+\d+ ms`, record, ...more];
  return new RegExp(`^  ${words.join(" +")}$`, "m");
}

const after = String.raw`\+\d+ ms`;

/** The timeline of a whole run, and what it says in the end. */
function expectTimeline(output: string): void {
  for (const name of ["web-1", "web-2", "api-1"]) {
    expect(output).toMatch(row("start", name, "ready", after, after, after, "first answer"));
  }
  expect(output).toMatch(row("SIGTERM", "web-2", "draining", after, after, after, "last answer"));
  expect(output).toMatch(row("die", "web-2", "removed", "-", "-"));
  expect(output).toMatch(
    row("SIGKILL", "web-1", "(draining|removed)", after, after, String.raw`[+-]\d+ ms`, "last answer"),
  );
  const starts = output.match(new RegExp(row("start", "web-2", "ready", ".*"), "gm"));
  expect(starts, "the first start of web-2 and the second").toHaveLength(2);
  const said =
    /web\.test got (?<sent>\d+) requests .*: (?<answered>\d+) were answered, (?<failed>\d+) failed/.exec(
      output,
    )?.groups ?? {};
  expect(Number(said.sent)).toBeGreaterThan(300);
  expect(Number(said.answered) + Number(said.failed)).toBe(Number(said.sent));
  // Only a crash may cost requests, and only those that the dead container held.
  expect(output).toMatch(/web-2 went on for \d+\.\d s; 0 of \d+ requests failed meanwhile/);
  // Paths may be as long as they are.
  const lines = output.split("\n").filter((line) => !line.includes("/"));
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
  expect(output, "colours are for terminals").not.toContain("\x1b");
}

describe.concurrent("npm run demo -- --exit", () => {
  it("plays the whole story with a container of one's own, and leaves nothing behind", async ({ expect }) => {
    // As docs/quick-start.md has it, with an image that needs no registry.
    const run = await runDemo({}, ["portolan-demo/web:latest"]);
    expect(run.code, run.output).toBe(0);
    expect(run.output).toMatch(row("start", "mine", "ready", after, after, after, "first answer"));
    expect(run.output).toMatch(/it answers: curl -H 'Host: mine\.test' http:\S+\n +it is on the page: http:/);
    expectTimeline(run.output);
    expect(leftBy(run)).toEqual([]);
  });

  it("uses the Docker of DOCKER_HOST, and touches only containers of its own", async ({ expect }) => {
    // The demo moves to the shared Docker's host, because it reaches containers at 127.0.0.1.
    const { dockerHost, enter, ...address } = inject("docker");
    const { docker } = dockerCli(address);
    // As attractive as a foreign container can be.
    const foreign = await runWeb(
      { docker },
      { publish: ["80"], labels: { SERVICE_NAME: "web", SERVICE_HTTP_HOST: "web.test" } },
    );
    const crashed = await runWeb({ docker }, { labels: { "portolan.demo": "1-1" } });
    const before = await docker(["inspect", foreign.id]);
    const images = await docker(["images", "--all", "--quiet"]);

    const run = await runDemo({ enter, dockerHost });
    expect(run.code, run.output).toBe(0);
    expect(run.output).toContain(dockerHost);
    expect(run.output).toContain("1 container of a demo that did not end properly");
    expectTimeline(run.output);

    const interrupted = await runDemo({ enter, dockerHost, interruptAt: "first answer" });
    expect(interrupted.code, interrupted.output).toBe(130);

    expect(await docker(["inspect", foreign.id])).toBe(before);
    expect(await docker(["images", "--all", "--quiet"])).toBe(images);
    const all = await docker(["ps", "--all", "--no-trunc", "--quiet"]);
    expect(all).not.toContain(crashed.id);
    expect(await docker(["ps", "--all", "--quiet", "--filter", "label=portolan.demo"])).toBe("");
    expect([...leftBy(run), ...leftBy(interrupted)]).toEqual([]);
    await foreign.remove();
  });

  it("says in a sentence why it cannot use a Docker, and exits with 1", async ({ expect }) => {
    const [absent, remote] = await Promise.all(
      ["unix:///nowhere/docker.sock", "tcp://192.0.2.1:2375"].map((dockerHost) => runDemo({ dockerHost })),
    );
    expect(absent?.code).toBe(1);
    expect(absent?.output).toMatch(
      /DOCKER_HOST is set, and that Docker does not answer: .*Unset DOCKER_HOST/,
    );
    expect(remote?.code).toBe(1);
    expect(remote?.output).toContain("tcp://192.0.2.1:2375, which is not on this machine");
  });
});
