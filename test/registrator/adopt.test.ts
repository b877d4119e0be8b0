import { expect, it } from "vitest";
import { isUpstreamId } from "../../src/registrator/adopt.ts";

it.each([
  ["host1:web-1:80", true],
  ["host1:dns:53:udp", true],
  ["other:web-1:80", true],
  ["host2:web-1:80", false],
  ["host1:web-1", false],
  ["host1:web-1:80:tcp", false],
  ["host1:-web:80", false],
  ["host1:a:b:80", false],
  ["xhost1:web-1:80", false],
  ["my-own-id", false],
])("takes %s for an id that registrator made here: %s", (id, expected) => {
  expect(isUpstreamId(id, ["host1", undefined, "other"])).toBe(expected);
});

it("knows host names with colons, as an address of version 6 is one", () => {
  expect(isUpstreamId("fd00::1:web:80", ["fd00::1"])).toBe(true);
});
