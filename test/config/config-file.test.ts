import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/config-file.ts";

const parse = (text: string) => parseConfig(text, "portolan.yaml", "/etc/portolan");

describe("a config file", () => {
  it("gives its values as the options would", () => {
    const { values, mistakes } = parse(`
backend: [consul://127.0.0.1:8500, etcd://h1:2379]
docker: unix:///run/docker.sock
registrator: { ip: interface:eth0, tags: [prod, "a,b"], ttl: 20, internal: yes, select: app=web, onExit: deregister }
templater:
  wait: { min: 25ms }
  minInterval: 500ms
  templates:
    - source: haproxy.cfg.hbs
      destination: /etc/haproxy/haproxy.cfg
      mode: 0644
      check: [haproxy, -c, -f, "{{src}}", 1.10]
      reload: { signal: { name: USR2, pidfile: run/haproxy.pid } }
      timeout: 5s
    - { source: a, destination: b, mode: 0o600, check: { shell: "true" }, reload: { shell: reload it } }
    - { source: a, destination: c, reload: { command: [nginx, -s, reload] } }
    - { source: a, destination: d, reload: none }
listen: off
agent:
`);
    expect(mistakes).toEqual([]);
    expect(values).toEqual({
      backend: ["consul://127.0.0.1:8500", "etcd://h1:2379"],
      docker: "unix:///run/docker.sock",
      registrator: {
        ip: "interface:eth0",
        tags: ["prod", "a", "b"],
        ttl: 20_000,
        internal: true,
        select: { label: "app", value: "web" },
        onExit: "deregister",
      },
      templater: {
        wait: { min: 25, max: 100 },
        minInterval: 500,
        templates: [
          {
            source: "/etc/portolan/haproxy.cfg.hbs",
            destination: "/etc/haproxy/haproxy.cfg",
            mode: 0o644,
            check: { argv: ["haproxy", "-c", "-f", "{{src}}", "1.10"] },
            reload: { kind: "signal", name: "SIGUSR2", pidfile: "/etc/portolan/run/haproxy.pid" },
            timeout: 5000,
          },
          {
            source: "/etc/portolan/a",
            destination: "/etc/portolan/b",
            mode: 0o600,
            check: { shell: "true" },
            reload: { kind: "command", command: { shell: "reload it" } },
            timeout: 30_000,
          },
          {
            source: "/etc/portolan/a",
            destination: "/etc/portolan/c",
            reload: { kind: "command", command: { argv: ["nginx", "-s", "reload"] } },
            timeout: 30_000,
          },
          {
            source: "/etc/portolan/a",
            destination: "/etc/portolan/d",
            reload: { kind: "none" },
            timeout: 30_000,
          },
        ],
      },
      listen: "off",
    });
  });

  it("takes every kind of reload, and what a file is to be", () => {
    const reloads = [
      "{ haproxy: { socket: /run/a.sock, master: /run/m.sock, pidfile: run/pid } }",
      "{ haproxy: { socket: a.sock } }",
      "{ nginx: { pidfile: /run/nginx.pid } }",
      "{ nginx: { pidfile: /run/nginx.pid, maxOld: 0, errorLog: log/error.log } }",
      "{ http: { url: 'http://127.0.0.1:1/reload' } }",
      "{ http: { url: 'https://h/x', method: PUT, expect: [200, 204] } }",
      "{ container: { name: lb, signal: SIGHUP } }",
      "{ container: { name: lb, exec: [nginx, -s, reload], docker: 'tcp://h:2375' } }",
    ];
    const entries = reloads.map((reload) => `{ source: a, destination: b, reload: ${reload} }`);
    const access =
      "{ source: a, destination: b, format: haproxy, owner: 'root:haproxy', backups: 0, group: lb }";
    const { values, mistakes } = parse(`templater: { templates: [${[...entries, access].join(", ")}] }`);
    expect(mistakes).toEqual([]);
    const { templates } = values.templater as { templates: readonly { reload: unknown }[] };
    expect(templates.map(({ reload }) => reload)).toEqual([
      {
        kind: "haproxy",
        socket: "/run/a.sock",
        master: "/run/m.sock",
        pidfile: "/etc/portolan/run/pid",
      },
      { kind: "haproxy", socket: "/etc/portolan/a.sock" },
      { kind: "nginx", pidfile: "/run/nginx.pid", maxOld: 4 },
      { kind: "nginx", pidfile: "/run/nginx.pid", maxOld: 0, errorLog: "/etc/portolan/log/error.log" },
      { kind: "http", url: "http://127.0.0.1:1/reload", method: "POST", expect: [] },
      { kind: "http", url: "https://h/x", method: "PUT", expect: [200, 204] },
      { kind: "container", name: "lb", action: { signal: "SIGHUP" } },
      {
        kind: "container",
        name: "lb",
        action: { exec: ["nginx", "-s", "reload"] },
        docker: "tcp://h:2375",
      },
      { kind: "none" },
    ]);
    expect(templates.at(-1)).toMatchObject({
      format: "haproxy",
      owner: { user: "root", group: "haproxy" },
      backups: 0,
      group: "lb",
    });
  });

  it.each<[text: string, guard: unknown]>([
    ["{ maxDrop: 50%, hold: 15s, min: { web: 1 } }", { maxDrop: 0.5, hold: 15_000, min: { web: 1 } }],
    ["{ requireNonEmpty: true, oneMaster: [db] }", { requireNonEmpty: true, oneMaster: ["db"] }],
    ["{ requireNonEmpty: [web, db], hold: 0s }", { requireNonEmpty: ["web", "db"], hold: 0 }],
    ["{ requireNonEmpty: false }", {}],
  ])("takes guard: %s", (text, guard) => {
    const { values, mistakes } = parse(
      `templater: { templates: [{ source: a, destination: b, guard: ${text} }] }`,
    );
    expect(mistakes).toEqual([]);
    expect((values.templater as { templates: unknown[] }).templates).toMatchObject([{ guard }]);
  });

  it.each([
    ["reload: { http: { url: x } }", 'reload.http.url: "x" is not a URL'],
    ["reload: { http: { url: 'http://h', expect: ok } }", 'expect: "ok" is not an HTTP status'],
    ["reload: { nginx: { maxOld: x } }", "nginx.pidfile: it is missing"],
    ["reload: { container: { name: x } }", "container: it has to hold exactly one of signal and exec"],
    ["reload: { container: { signal: HUP } }", "container.name: it is missing"],
    ["reload: { haproxy: /run/a.sock }", "haproxy: it is not a mapping of keys to values"],
    ["format: haproxi", 'format: "haproxi" is not one of haproxy, nginx, json, yaml, toml, env, text'],
    ["owner: 'a b'", "owner: it is not an owner; write e.g. root:haproxy"],
    ["backups: many", 'backups: "many" is not a number from 0'],
    ["group: 5x, backups: -1", 'backups: "-1" is not a number'],
    ["splay: 2", 'splay: "2" has no unit'],
    ["reloadTurns: edge", "reloadTurns: it is not a mapping of keys to values"],
    ["reloadTurns: {}", "reloadTurns.name: it is missing"],
    ["reloadTurns: { name: x, atMost: 0 }", 'reloadTurns.atMost: "0" is not a whole number from 1 to 100'],
    ["reloadTurns: { name: x, wait: 10ms }", 'reloadTurns.wait: "10ms" is too short; the least is 1000ms'],
  ])("says what is wrong with %s", (keys, message) => {
    const { mistakes } = parse(`templater: { templates: [{ source: a, destination: b, ${keys} }] }`);
    expect(mistakes.join("\n")).toContain(message);
  });

  it("takes one backend as a word, and nothing at all", () => {
    expect(parse("backend: 'consul:'").values).toEqual({ backend: ["consul:"] });
    expect(parse("# nothing yet\n")).toMatchObject({ values: {}, mistakes: [] });
  });

  it("tells every mistake at once, with its place, in the order of the file", () => {
    const { values, mistakes, templateSources } = parse(
      [
        "backnd: x", // 1
        "backend: [consl://x, 'etcd://me:secret@b']", // 2
        "registrator: { ipp: 3, ttl: 5x, tags: {a: 1}, resync: }", // 3
        "templater:", // 4
        "  wait: { min: 25, mx: 2s }", // 5
        "  templates:", // 6
        "    - sorce: a", // 7
        "      destination: 5", // 8
        "      mode: 999", // 9
        "      check: true", // 10
        "      reload: { signal: {name: HUPP}, haproxy: {} }", // 11
        "      guard: {maxDrop: 0.5, min: {web: -1}, requireNonEmpty: web, holds: 1s}", // 12
        "    - {source: a, destination: b, reload: {shell: x, command: [y]}}", // 13
        "    - {source: a, destination: b, reload: restart, check: []}", // 14
        "    - x", // 15
      ].join("\n"),
    );
    expect(values).toEqual({});
    expect(templateSources).toEqual(["a", "a"]);
    const expected = [
      '1:1: backnd: unknown key; the nearest known one is "backend"',
      '2:11: backend[0]: backend "consl://x": unknown scheme "consl"',
      '2:22: backend[1]: backend "etcd://***@b": credentials do not belong in a URL',
      '3:16: registrator.ipp: unknown key; the nearest known one is "ip"',
      '3:24: registrator.ttl: "5x" is not a duration',
      "3:33: registrator.tags: it is neither a word nor a number",
      "3:47: registrator.resync: it is neither a word nor a number",
      '5:11: templater.wait.min: "25" has no unit',
      '5:20: templater.wait.mx: unknown key; the nearest known one is "max"',
      "7:7: templater.templates[0].source: it is missing",
      '7:7: templater.templates[0].sorce: unknown key; the nearest known one is "source"',
      "9:7: templater.templates[0].mode: it is not a mode",
      "10:7: templater.templates[0].check: it is neither a list of words nor {shell: …}",
      "11:17: templater.templates[0].reload.signal.pidfile: it is missing",
      '11:26: templater.templates[0].reload.signal.name: "HUPP" is not a signal; the nearest is HUP',
      "11:39: templater.templates[0].reload.haproxy.socket: it is missing",
      '12:15: templater.templates[0].guard.maxDrop: "0.5" is not a percentage; write e.g. 50%',
      '12:35: templater.templates[0].guard.min.web: "-1" is not a number from 0',
      '12:45: templater.templates[0].guard.requireNonEmpty: "web" is neither true, false nor a list',
      '12:67: templater.templates[0].guard.holds: unknown key; the nearest known one is "hold"',
      "13:35: templater.templates[1].reload: it has to be exactly one of",
      "14:35: templater.templates[2].reload: it is neither none nor a mapping with one of command, ",
      "14:52: templater.templates[2].check: it names no program",
      "15:7: templater.templates[3]: it is not a mapping of keys to values",
    ];
    expect(mistakes).toEqual(expected.map((text) => expect.stringContaining(`portolan.yaml:${text}`)));
    expect(mistakes.join()).not.toContain("secret");
  });

  it("takes when a reload may happen", () => {
    const { values, mistakes } = parse(`templater: { templates: [
      { source: a, destination: b, splay: 2s, reloadTurns: { name: edge } },
      { source: a, destination: c, reloadTurns: { name: edge, atMost: 3, wait: 1m } } ] }`);
    expect(mistakes).toEqual([]);
    expect(values).toMatchObject({
      templater: {
        templates: [
          { splay: 2_000, reloadTurns: { name: "edge", atMost: 1, wait: 30_000 } },
          { reloadTurns: { name: "edge", atMost: 3, wait: 60_000 } },
        ],
      },
    });
  });

  it("takes one file for each service, and what verifies a reload", () => {
    const text = `templater: { templates: [
      { source: a, destination: "{{name}}.conf", forEach: services, verify: [curl, -f, "http://localhost"] },
      { source: a, destination: "{{name}}.map", forEach: { services: { tag: http } } } ] }`;
    const { values, mistakes } = parse(text);
    expect(mistakes).toEqual([]);
    expect(values).toMatchObject({
      templater: {
        templates: [
          { forEach: {}, verify: { argv: ["curl", "-f", "http://localhost"] } },
          { forEach: { tag: "http" } },
        ],
      },
    });
  });

  it.each([
    ["forEach: instances", "forEach: it is neither services nor {services: {tag: …}}"],
    ["forEach: { services: { role: master } }", 'role: unknown key; the nearest known one is "tag"'],
    ["forEach: { tag: http }", "forEach.tag: unknown key"],
  ])("%s is a mistake", (key, message) => {
    const text = `templater: { templates: [{ source: a, destination: "{{name}}", ${key} }] }`;
    expect(parse(text).mistakes.join("\n")).toContain(message);
  });

  it.each<[text: string, mistakes: string[]]>([
    ["a: [1\nb: {\n", [":2:1: ", ":3:1: "]],
    [
      "backend: consul:\n",
      [":1:10: Nested mappings are not allowed in compact mappings; a value that ends in a colon"],
    ],
    [
      "backend: [memory:]\n",
      [":1:11: backend[0]: it is neither a word nor a number; a value that ends in a colon"],
    ],
    ["docker: unix:///a\ndocker: unix:///b\n", [":2:1: Map keys must be unique"]],
    ["- a\n", [":1:1: it is not a mapping"]],
    ["backend: *nobody\n", [": Unresolved alias"]],
    ["backend: !!!\n\t- x\n", [":"]],
  ])("survives %j", (text, mistakes) => {
    const found = parse(text).mistakes;
    for (const [index, part] of mistakes.entries()) expect(found[index]).toContain(`portolan.yaml${part}`);
  });
});
