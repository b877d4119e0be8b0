import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../src/config/config-file.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";

const validate = new Ajv2020({ allowUnionTypes: true, strictTypes: false }).compile(configJsonSchema());
const isAccepted = (text: string) => validate(parse(text));
const mistakesIn = (text: string) => parseConfig(text, "portolan.yaml", "/etc/portolan").mistakes;
const entry = (keys: string) => `templater: { templates: [{ source: a, destination: b, ${keys} }] }`;

describe("the JSON Schema of the config file", () => {
  it.each([
    "backend: 'consul:'\nlisten: off\nagent:\n",
    "backend: [consul://127.0.0.1:8500, etcd://h1:2379]\nregistrator: { tags: [prod], ttl: 20, internal: yes, adopt: true }",
    "registrator: { onExit: keep, probeRise: 3, resync: 0 }\nlogLevel: debug",
    "templater: { wait: 25ms, minInterval: 0 }",
    "templater: { wait: { min: 25ms, max: 2s } }",
    entry("format: haproxy, mode: 0644, owner: root, backups: 3, group: 5, timeout: 5s"),
    entry("check: [haproxy, -c, 1.10], reload: none, verify: { shell: 'true' }"),
    entry("reload: { signal: { name: HUP, pidfile: a } }, forEach: services"),
    entry("reload: { haproxy: { socket: a } }, forEach: { services: { tag: http } }"),
    entry("reload: { nginx: { pidfile: a, maxOld: 3 } }, guard: { maxDrop: 50%, min: { web: 1 } }"),
    entry(
      "reload: { http: { url: 'http://h', expect: 200 } }, guard: { requireNonEmpty: [web], oneMaster: db }",
    ),
    entry("reload: { container: { name: lb, exec: [nginx, -s, reload] } }, guard: { requireNonEmpty: true }"),
  ])("accepts what the file may hold: %s", (text) => {
    expect(mistakesIn(text)).toEqual([]);
    isAccepted(text);
    expect(validate.errors).toBeNull();
  });

  it.each([
    "backnd: x",
    "registrator: { ipp: 3 }",
    "registrator: { onExit: leave }",
    "registrator: { tags: { a: 1 } }",
    "logLevel: loud",
    "templater: { wait: { mx: 2s } }",
    "templater: { templates: x }",
    "templater: { templates: [{ source: a }] }",
    entry("sorce: a"),
    entry("check: true"),
    entry("check: []"),
    entry("reload: restart"),
    entry("reload: { signal: { name: HUP } }"),
    entry("forEach: instances"),
    entry("guard: { holds: 1s }"),
    "- a",
  ])("refuses a mistake of shape, as the file does: %s", (text) => {
    expect(mistakesIn(text)).not.toEqual([]);
    expect(isAccepted(text)).toBe(false);
  });

  // `npx vitest run test/config/json-schema.test.ts -u` writes it anew.
  it("is published, and named in the first line of the examples", async () => {
    const text = `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot("../../portolan.schema.json");
    for (const example of ["haproxy", "nginx"]) {
      const text = readFileSync(`examples/${example}/portolan.yaml`, "utf8");
      expect(text.split("\n")[0]).toBe("# yaml-language-server: $schema=../../portolan.schema.json");
      isAccepted(text);
      expect(validate.errors).toBeNull();
    }
  });
});
