import { describe, expect, it } from "vitest";
import { isTrue, labelledPorts, readLabels, splitList, told } from "../../src/registrator/rules/labels.ts";
import { container, published } from "./build.ts";

const port = published(53, 1, "udp");

/** What is read of one key, e.g. `label SERVICE_53_NAME=dns`. */
function read(labels: Record<string, string>, env: Record<string, string> = {}, key = "name") {
  const found = readLabels(container({ labels, env }), port, "SERVICE_").get(key);
  return found && told(found);
}

describe("readLabels", () => {
  it.each([
    ["the whole container", { SERVICE_NAME: "a" }, {}, "label SERVICE_NAME=a"],
    ["a port over the container", { SERVICE_NAME: "a", SERVICE_53_NAME: "b" }, {}, "label SERVICE_53_NAME=b"],
    [
      "a protocol over a port",
      { SERVICE_53_NAME: "b", SERVICE_53_UDP_NAME: "c" },
      {},
      "label SERVICE_53_UDP_NAME=c",
    ],
    ["a label over a variable", { SERVICE_NAME: "a" }, { SERVICE_NAME: "b" }, "label SERVICE_NAME=a"],
    [
      "a variable for the port over a label for all",
      { SERVICE_NAME: "a" },
      { SERVICE_53_NAME: "b" },
      "variable SERVICE_53_NAME=b",
    ],
    ["not another port", { SERVICE_54_NAME: "a" }, {}, undefined],
    ["not another protocol", { SERVICE_53_TCP_NAME: "a" }, {}, undefined],
    ["not another case of the prefix", { service_NAME: "a" }, {}, undefined],
    ["any case of the key", { SERVICE_53_udp_Name: "a" }, {}, "label SERVICE_53_udp_Name=a"],
    ["leading zeros", { SERVICE_053_NAME: "a" }, {}, "label SERVICE_053_NAME=a"],
    ["the prefix alone is nothing", { SERVICE_: "a" }, {}, undefined],
  ])("%s", (_what, labels, env, expected) => expect(read(labels, env)).toBe(expected));

  it.each([
    ["a range over the whole container", { SERVICE_IGNORE: "a", "SERVICE_50-60_IGNORE": "b" }, "50-60"],
    ["its first port", { "SERVICE_53-60_IGNORE": "b" }, "53-60"],
    ["its last port", { "SERVICE_1-53_ignore": "b" }, "1-53"],
    ["not another port", { "SERVICE_54-60_IGNORE": "b" }, undefined],
    ["a port over a range", { "SERVICE_50-60_IGNORE": "a", SERVICE_53_IGNORE: "b" }, "53"],
  ])("of ranges of ports that are ignored: %s", (_what, labels, expected) => {
    const named = expected && `label SERVICE_${expected}_IGNORE=b`;
    expect(read(labels, {}, "ignore")?.toUpperCase()).toBe(named?.toUpperCase());
  });

  it("takes no range for an attribute", () => {
    const labels = { "SERVICE_50-60_IGNORE": "true", "SERVICE_1-2_IGNORE": "true" };
    expect(readLabels(container({ labels }), port, "SERVICE_").keys()).toEqual(["ignore"]);
    expect(readLabels(container({ labels }), undefined, "SERVICE_").keys()).toEqual([]);
  });

  it.each([
    ["upper case", { SERVICE_name: "a", SERVICE_NAME: "b", SERVICE_Name: "c" }, "label SERVICE_NAME=b"],
    ["no leading zero", { SERVICE_053_NAME: "a", SERVICE_53_NAME: "b" }, "label SERVICE_53_NAME=b"],
    ["else the first in order", { SERVICE_nAME: "a", SERVICE_Name: "b" }, "label SERVICE_Name=b"],
  ])("of two spellings %s counts, and the other is told", (_what, labels, expected) => {
    const found = readLabels(container({ labels }), port, "SERVICE_");
    expect(told(found.get("name") ?? { value: "", from: "" })).toBe(expected);
    expect(found.doubles.map(({ used }) => told(used))).toContain(expected);
    expect(found.doubles).toHaveLength(Object.keys(labels).length - 1);
  });

  it("takes equal values in two spellings for no mistake", () => {
    const labels = { SERVICE_name: "a", SERVICE_NAME: "a" };
    expect(readLabels(container({ labels }), port, "SERVICE_").doubles).toEqual([]);
  });

  it.each([
    ["SERVICE_80", "80"],
    ["SERVICE__", "_"],
    ["SERVICE_CONSTRUCTOR", "constructor"],
    ["SERVICE___PROTO__", "__proto__"],
    ["SERVICE_A.B", "a.b"],
    ["SERVICE_A\nB", "a\nb"],
  ])("%j is the key %j", (name, key) => {
    const labels = readLabels(container({ labels: { [name]: "x" } }), port, "SERVICE_");
    expect(labels.keys()).toEqual([key]);
    expect(labels.get("toString")).toBeUndefined();
  });

  it("reads another prefix", () => {
    const labels = { "portolan.name": "a", "portolan.53_name": "b", SERVICE_NAME: "c" };
    expect(readLabels(container({ labels }), port, "portolan.").get("name")?.value).toBe("b");
  });

  it("gives all values of a key, the most specific first", () => {
    const labels = { SERVICE_NAME: "a", SERVICE_53_NAME: "", SERVICE_53_UDP_NAME: "c" };
    const all = readLabels(container({ labels }), port, "SERVICE_").all("name");
    expect(all.map(({ value, of }) => [value, of])).toEqual([
      ["c", "protocol"],
      ["", "port"],
      ["a", "container"],
    ]);
  });
});

it.each([
  ["a,b", ["a", "b"]],
  [" a , b ,", ["a", "b"]],
  ["a\\,b,c", ["a,b", "c"]],
  [",,", []],
  ["", []],
])("splitList(%j) is %j", (text, items) => expect(splitList(text)).toEqual(items));

it.each([
  ["", false],
  [" ", false],
  ["false", false],
  ["FALSE", false],
  ["0", false],
  ["No", false],
  ["true", true],
  ["1", true],
  ["anything", true],
])("isTrue(%j) is %s", (value, expected) => {
  expect(isTrue({ value, from: "" })).toBe(expected);
  expect(isTrue(undefined)).toBe(false);
});

it.each([
  ["a\nb", 'label X="a\\nb"'],
  ["\u202ex", 'label X="\\u{202e}x"'],
  ["\ud800", 'label X="\\ud800"'],
  ["x".repeat(100), `label X="${"x".repeat(80)}…"`],
])("a value that cannot be seen as it is is told as an escape", (value, expected) => {
  expect(told({ value, from: "label X" })).toBe(expected);
});

it("labelledPorts tells which names are for a port", () => {
  const labels = { SERVICE_8080_NAME: "a", SERVICE_NAME: "b", SERVICE_9: "c" };
  expect(labelledPorts({ labels, env: { SERVICE_53_UDP_X: "d" } }, "SERVICE_")).toEqual([
    { from: "label SERVICE_8080_NAME", number: 8080 },
    { from: "variable SERVICE_53_UDP_X", number: 53 },
  ]);
});
