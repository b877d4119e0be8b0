import { describe, expect, it } from "vitest";
import { type Arguments, parseArguments } from "../../src/config/arguments.ts";

const flagsOf = ({ flags }: Arguments) => Object.fromEntries([...flags].sort(([a], [b]) => (a < b ? -1 : 1)));

describe("a command line", () => {
  it.each<[line: string, flags: Record<string, string[]>, positionals: string[]]>([
    ["registrator consul:", {}, ["consul:"]],
    ["registrator consul: --ttl 5s etcd://x", { ttl: ["5s"] }, ["consul:", "etcd://x"]],
    ["--log-level debug registrator --once", { logLevel: ["debug"], once: ["true"] }, []],
    ["-c a.yaml check", { config: ["a.yaml"] }, []],
    ["templater -t a:b -ta:c --template=a:d", { template: ["a:b", "a:c", "a:d"] }, []],
    ["services web --json -- --watch", { json: ["true"] }, ["web", "--watch"]],
    ["registrator --no-internal --internal=true", { internal: ["true"] }, []],
    ["registrator --internal=false", { internal: ["false"] }, []],
    ["registrator --tags --once", { tags: ["--once"] }, []],
    // Go's spelling, as registrator's own command lines have it.
    ["registrator -ip 10.0.0.1 -resync 30 consul:", { ip: ["10.0.0.1"], resync: ["30"] }, ["consul:"]],
    ["registrator -internal=false -explicit", { explicit: ["true"], internal: ["false"] }, []],
    ["registrator -labelPrefix=X_ -onExit keep", { labelPrefix: ["X_"], onExit: ["keep"] }, []],
    [
      "registrator -cleanup -ttl 30 -ttl-refresh 10 -retry-attempts -1 -retry-interval 10",
      { cleanup: ["true"], retryAttempts: ["-1"], retryInterval: ["10"], ttl: ["30"], ttlRefresh: ["10"] },
      [],
    ],
    ["registrator -tags -internal", { tags: ["-internal"] }, []],
  ])("%s", async (line, flags, positionals) => {
    const given = await parseArguments(line.split(" "));
    expect(given.mistakes).toEqual([]);
    expect(flagsOf(given)).toEqual(flags);
    expect(given.positionals).toEqual(positionals);
  });

  it.each<[line: string, mistakes: RegExp[], positionals: string[]]>([
    [
      "registrator --tll 5s --nod x consul:",
      [/"--tll".*nearest known one is --ttl/, /"--nod".*--node/],
      ["consul:"],
    ],
    ["registrator -useIpFromLabels x consul:", [/unknown option "--use-ip-from-labels"/], ["consul:"]],
    ["services -ip x", [/unknown option/], []],
    ["registrator --ttl", [/--ttl needs an argument/], []],
    ["registrator --internal=maybe", [/a switch is true or false/], []],
    ["check --diff", [/unknown option "--diff"/], []],
  ])("%s is refused", async (line, mistakes, positionals) => {
    const given = await parseArguments(line.split(" "));
    expect(given.mistakes).toEqual(mistakes.map((pattern) => expect.stringMatching(pattern)));
    expect(given.positionals).toEqual(positionals);
  });

  it.each([
    ["registratr consul:", /unknown command "registratr"; the nearest known one is "registrator"/],
    [
      "--json",
      /no command after "--json"; begin with one, e\.g\. portolan agent; portolan --help lists them/,
    ],
    ["-internal consul://a:8500", /no command before "consul:\/\/a:8500"; .*portolan registrator;/],
  ])("%s is no command", async (line, complaint) => {
    await expect(parseArguments(line.split(" "))).rejects.toThrow(complaint);
  });

  it.each<[argv: string[], asked: Partial<Arguments>]>([
    [[], { help: false, version: false }],
    [["--help"], { help: true, version: false }],
    [["-help"], { help: true, version: false }],
    [["help"], { help: true }],
    [["help", "render"], { help: true, command: "render" }],
    [["render", "-h"], { help: true, command: "render" }],
    [["registrator", "-help"], { help: true, command: "registrator" }],
    [["--version"], { version: true }],
    [["-version"], { version: true }],
    [["-V"], { version: true }],
    [["-v"], { version: true, help: false }],
    [["agent", "--version"], { version: true }],
  ])("%j asks for help or the version", async (argv, asked) => {
    expect(await parseArguments(argv)).toMatchObject(asked);
  });
});
