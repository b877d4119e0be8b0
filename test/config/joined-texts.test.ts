import { describe, expect, it } from "vitest";
import { parseConfigText } from "../../src/config/config-text.ts";
import { joinTexts } from "../../src/config/joined-texts.ts";

const joined = (...texts: readonly string[]) =>
  joinTexts(texts.map((text, index) => parseConfigText(text, `${index + 1}.yaml`)));

describe("several texts", () => {
  it("are one: mappings key by key, lists one after the other", () => {
    const { raw, mistakes } = joined(
      "{ backend: [a], templater: { wait: { min: 5ms }, templates: [{ source: a, check: [x] }] }, agent: }",
      "",
      "{ backend: [b, c], agent: { ttl: 5s }, templater: { wait: { max: 1s } } }",
      '{ "templater": { "templates": [{ "source": "b" }] }, "logLevel": "warn", "docker": null }',
    );
    expect(mistakes).toEqual([]);
    expect(raw).toEqual({
      backend: ["a", "b", "c"],
      templater: {
        wait: { min: "5ms", max: "1s" },
        templates: [{ source: "a", check: ["x"] }, { source: "b" }],
      },
      agent: { ttl: "5s" },
      logLevel: "warn",
      docker: null,
    });
  });

  it.each<[what: string, texts: readonly string[], mistakes: readonly string[]]>([
    [
      "a value",
      ["logLevel: warn\n", "docker: x\nlogLevel: warn\n"],
      ["2.yaml:2:1: logLevel: it is set at 1.yaml:1:1, too"],
    ],
    [
      "a value within mappings, three times",
      Array(3).fill("templater: { wait: { min: 5ms } }"),
      [2, 3].map((n) => `${n}.yaml:1:22: templater.wait.min: it is set at 1.yaml:1:22, too`),
    ],
    [
      "a value and a list",
      ["backend: a", "backend: [b]"],
      ["2.yaml:1:1: backend: it is set at 1.yaml:1:1, too"],
    ],
    ["what is no mapping", ["backend: a", "- b"], ["2.yaml:1:1: it is not a mapping of keys to values"]],
  ])("say what cannot be joined: %s", (_, texts, mistakes) => {
    expect(joined(...texts).mistakes).toEqual(mistakes);
  });

  it("tell where each value stands", () => {
    const { places } = joined(
      "templater:\n  templates:\n    - source: a\n  wait: { min: 5ms }\n",
      "registrator: { ttl: 5s }\ntemplater:\n  templates:\n    - source: b\n    - source: c\n      mode: 0600\n",
    );
    const at = (...path: readonly PropertyKey[]) => places(path).map(({ text, offset }) => text.at(offset));
    expect(at("registrator", "ttl")).toEqual(["2.yaml:1:16"]);
    expect(at("templater", "templates", 2, "mode")).toEqual(["2.yaml:6:7"]);
    expect(at("templater", "templates", 0)).toEqual(["1.yaml:3:7"]);
    expect(at("templater", "templates")).toEqual(["1.yaml:2:3", "2.yaml:3:3"]);
    // What is not there: the nearest parent.
    expect(at("templater", "templates", 1, "check", "shell")).toEqual(["2.yaml:4:7"]);
    expect(at("templater", "minInterval")).toEqual(["1.yaml:1:1"]);
  });
});
