import { describe, expect, it } from "vitest";
import { fileOf, isFileOf, mayMeet } from "../../src/templater/each.ts";

const target = { destination: "/etc/proxy/svc-{{name}}.conf" };

describe("the file of a service", () => {
  it.each([
    ["web", "web"],
    ["web-80.v1_2@a+b:c", "web-80.v1_2@a+b:c"],
    ["Web", "Web"],
    ["..", "%2E."],
    ["../../etc/passwd", "%2E./../etc/passwd".replaceAll("/", "%2F")],
    ["a\0b\n", "a%00b%0A"],
    ["100%", "100%25"],
    ["käse", "k%C3%A4se"],
  ])("T10: %j is named %s", (service, part) => {
    const path = fileOf(target, service) ?? "";
    expect(path).toBe(`/etc/proxy/svc-${part}.conf`);
    expect(isFileOf(target, path)).toBe(true);
  });

  it("T10: is another one for each name", () => {
    const names = ["web", "Web", "WEB", "%57eb", "w.eb", "w/eb", "w%2Feb", ".web", "%2Eweb", "$&", "$1"];
    const files = names.map((name) => fileOf(target, name));
    expect(new Set(files).size).toBe(names.length);
  });

  it("has no name that is too long for a file", () => {
    expect(fileOf(target, "x".repeat(246))).toHaveLength("/etc/proxy/".length + 255);
    expect(fileOf(target, "x".repeat(247))).toBeUndefined();
    expect(fileOf(target, "/".repeat(100))).toBeUndefined();
  });

  it.each([
    "/etc/proxy/default.conf",
    "/etc/proxy/svc-.conf",
    "/etc/proxy/svc-%77eb.conf",
    "/etc/proxy/svc-%zz.conf",
    "/etc/proxy/svc-web.conf.bak",
    "/etc/proxy/sub/svc-web.conf",
    "/etc/svc-web.conf",
  ])("is not %s", (path) => expect(isFileOf(target, path)).toBe(false));
});

it.each([
  ["/a/{{name}}.conf", "/a/default.conf", true],
  ["/a/{{name}}.conf", "/a/%64efault.conf", false],
  ["/a/{{name}}.conf", "/a/default.map", false],
  ["/a/{{name}}.conf", "/b/default.conf", false],
  ["/a/{{name}}.conf", "/a/svc-{{name}}.conf", true],
  ["/a/x-{{name}}.conf", "/a/y-{{name}}.conf", false],
  ["/a/{{name}}.conf", "/a/{{name}}.map", false],
  ["/a/b.conf", "/a/b.conf", true],
  ["/a/b.conf", "/a/c.conf", false],
])("%s and %s may be one file: %s", (a, b, expected) => {
  expect([mayMeet(a, b), mayMeet(b, a)]).toEqual([expected, expected]);
});
