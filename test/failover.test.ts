import { expect, inject, it } from "vitest";
import { leftBy, runExample } from "./run-example.ts";
import { dockerCli } from "./servers/docker.ts";

/** The moments of a failover that the timeline shows, each as `+12 ms   …`. */
const moments = (one: string, other: string) => [
  `the record of ${one} is gone`,
  `${other} takes writes: .+`,
  `the record of ${other} says master`,
  "HAProxy has confirmed it, changed by its runtime API",
  `${other} has taken the first write through HAProxy`,
  `${one} says that it is the master`,
  `its record says master, too; the file keeps ${other}`,
  `${one} copies ${other}`,
];

it.each([
  ["redis", "redis-1", "redis-[23]"],
  ["postgres", "postgres-1", "postgres-2"],
])(
  "npm run failover:%s tells a failover, and leaves nothing behind",
  async (store, one, other) => {
    const { dockerHost, enter, ...address } = inject("docker");
    const run = await runExample(`failover-${store}/failover.ts`, [], { enter, dockerHost });
    expect(run.code, run.output).toBe(0);
    for (const moment of moments(one, other))
      expect(run.output).toMatch(new RegExp(`\\+\\d+ ms   ${moment}\n`));
    expect(run.output).toMatch(/\d+ writes: \d+ were taken, \d+ failed; 0 came to a slave\./);
    expect(run.output).toMatch(
      new RegExp(`^0 of \\d+ writes in .* went to the ${one} that came back\\.$`, "m"),
    );

    const { docker } = dockerCli(address);
    expect(await docker(["ps", "--all", "--quiet", "--filter", "label=portolan.failover"])).toBe("");
    expect(await docker(["images", "--quiet", `portolan-failover/${store}`])).toBe("");
    expect(leftBy(run)).toEqual([]);
  },
  180_000,
);
