import { describe, expect, it } from "vitest";
import { parseDuration, parseNoneOrFrom } from "../../src/config/duration.ts";
import { parseAttempts, parseInterval } from "../../src/config/from-registrator.ts";
import { parseListenAddress } from "../../src/config/listen-address.ts";
import {
  parseBackend,
  parseDockerUrl,
  parseHostAddress,
  parseOneOf,
  parseSelection,
  parseSwitch,
  parseTags,
} from "../../src/config/parse.ts";
import { parseTemplateFlag } from "../../src/config/template-entry.ts";
import { parseWait } from "../../src/config/wait-window.ts";
import { nearest } from "../../src/nearest.ts";

const seconds = (text: string) => parseDuration(text, "seconds");
const plain = (text: string) => parseDuration(text);

/** A parser, what it is given, and its value or a part of its complaint. */
const cases: readonly (readonly [
  name: string,
  parse: (text: string) => unknown,
  table: Readonly<Record<string, unknown>>,
])[] = [
  ["duration", plain, { "250ms": 250, "15s": 15_000, "2m": 120_000, "1h": 3_600_000, "1.5s": 1500, "0": 0 }],
  ["duration", plain, { "": /not a duration/, "-1s": /not a duration/, "5x": /250ms, 15s/, "1m30s": /not/ }],
  ["duration without a unit", plain, { "15": /"15" has no unit; write 15s or 15ms/ }],
  ["duration beyond a timer", plain, { "577h": /the most is 576h/, "576h": 576 * 3_600_000 }],
  ["seconds", seconds, { "15": 15_000, "250ms": 250, "1.5": 1500, "15 s": /not a duration/ }],
  [
    "duration of at least a second, or none",
    parseNoneOrFrom(1000),
    { "1": 1000, "500ms": /least is 1s, and 0 means none/, "0": 0, "0s": 0, "-1": /not a duration/ },
  ],
  [
    "wait",
    parseWait,
    {
      "25ms:2s": { min: 25, max: 2000 },
      "1s": { min: 1000, max: 4000 },
      "2s:1s": /longest wait, 1000 ms, is less/,
      "1s:2s:3s": /MIN\[:MAX\]/,
      "5": /no unit/,
    },
  ],
  [
    "template",
    parseTemplateFlag,
    {
      "a.hbs:/etc/a": { source: "a.hbs", destination: "/etc/a", reload: { kind: "none" }, timeout: 30_000 },
      "a:b:curl http://x:80/ | sh": {
        source: "a",
        destination: "b",
        reload: { kind: "command", command: { shell: "curl http://x:80/ | sh" } },
        timeout: 30_000,
      },
      "a:b:": { source: "a", destination: "b", reload: { kind: "none" }, timeout: 30_000 },
      a: /SOURCE:DEST/,
      ":b": /SOURCE:DEST/,
      "a::c": /config file/,
    },
  ],
  [
    "listen address",
    parseListenAddress,
    {
      off: "off",
      "127.0.0.1:7601": { host: "127.0.0.1", port: 7601 },
      "localhost:0": { host: "localhost", port: 0 },
      "[::1]:80": { host: "::1", port: 80 },
      "0.0.0.0:80": { host: "0.0.0.0", port: 80 },
      ":80": { host: "", port: 80 },
      "[::]:80": { host: "::", port: 80 },
      "example.org:80": { host: "example.org", port: 80 },
      "127.0.0.1": /not an address/,
      "127.0.0.1:99999": /not an address/,
      on: /or off/,
    },
  ],
  ["switch", parseSwitch, { true: true, T: true, "1": true, no: false, OFF: false, maybe: /neither true/ }],
  ["word", parseOneOf(["keep", "deregister"]), { keep: "keep", deregster: /the nearest is deregister/ }],
  [
    "tags",
    parseTags,
    {
      "a, b,,c": ["a", " b", "c"],
      "a\\,b,c": ["a,b", "c"],
      "": [],
      "{{name}},{{labels.a}},{{#if env.X}}x{{/if}}": ["{{name}}", "{{labels.a}}", "{{#if env.X}}x{{/if}}"],
      "{{../name}} {{this.name}} {{./x}}": ["{{../name}} {{this.name}} {{./x}}"],
      "a,{{.Config.Hostname}}": /Go template; write it in Handlebars.*\{\{labels\.team\}\}/,
      '{{ index .Config.Labels "x" }}': /Go template/,
      "{{with $x := .Name}}{{$x}}{{end}}": /Go template/,
      "{{- toUpper (.Name) -}}": /Go template/,
      '{{httpGet "http://169.254.169.254/"}}': /Go template/,
    },
  ],
  [
    "retry attempts",
    parseAttempts,
    { "-1": -1, "0": 0, "10": 10, "-2": /whole number, or -1/, x: /not a number/ },
  ],
  ["retry interval", parseInterval, { "2000": 2000, "2s": 2000, "1.5s": 1500, x: /not a duration/ }],
  [
    "selection",
    parseSelection,
    {
      app: { label: "app", value: undefined },
      "app=": { label: "app", value: "" },
      "app=a=b": { label: "app", value: "a=b" },
      "=x": /no label/,
    },
  ],
  [
    "host address",
    parseHostAddress,
    {
      "10.0.0.5": "10.0.0.5",
      "::1": "::1",
      "interface:eth0": "interface:eth0",
      "env:HOST_IP": "env:HOST_IP",
      "cidr:10.0.0.0/8": "cidr:10.0.0.0/8",
      "cidr:fd00::/8": "cidr:fd00::/8",
      "cidr:10.0.0.0/33": /not an address/,
      "cidr:10.0.0.0": /not an address/,
      "interface:": /not an address/,
      host1: /interface:eth0/,
    },
  ],
  [
    "Docker URL",
    parseDockerUrl,
    {
      "unix:///var/run/docker.sock": "unix:///var/run/docker.sock",
      "tcp://10.0.0.1:2375": "tcp://10.0.0.1:2375",
      "/var/run/docker.sock": /unix:\/\/\/var/,
      "unix://": /not a Docker URL/,
    },
  ],
  [
    "backend",
    parseBackend,
    {
      "consul://127.0.0.1:8500": "consul://127.0.0.1:8500",
      "memory:": "memory:",
      "consl://x": /unknown scheme "consl".*nearest is consul/,
      "etcd://me:secret@x": /\*\*\*@x.*password-file/,
      x: /no scheme/,
    },
  ],
];

describe.each(cases)("%s", (_, parse, table) => {
  it.each(Object.entries(table))("%j", (text, expected) => {
    if (expected instanceof RegExp) expect(() => parse(text)).toThrow(expected);
    else expect(parse(text)).toEqual(expected);
  });
});

it("keeps a password out of the complaint", () => {
  expect(() => parseBackend("etcd://me:secret@x")).not.toThrow(/secret/);
  expect(() => parseBackend("etdc://me:secret@x")).not.toThrow(/secret/);
});

it.each([
  ["tempalte", ["ttl", "template", "tags"], "template"],
  ["resnyc", ["resync", "render"], "resync"],
  ["TTL", ["node", "ttl"], "ttl"],
  ["anything", [], undefined],
])("the nearest to %s in %j is %s", (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});
