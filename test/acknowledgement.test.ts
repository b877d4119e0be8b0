import { describe, expect, it } from "vitest";
import {
  acknowledged,
  decodeAcknowledgement,
  encodeAcknowledgement,
  isIn,
  isOut,
  type TargetWorld,
} from "../src/acknowledgement.ts";
import type { Instance, State } from "../src/instance.ts";
import { instance } from "./commands/registry-folder.ts";

const at = "2026-01-31T12:00:00.000Z";
const web = (id: string, state: State = "ready"): Instance => instance("web", 80, { id, state });
const reading = (...services: string[]) => ({ services: new Set(services), all: false });
const everything = { services: new Set<string>(), all: true };

/** A target that reads this and whose proxy runs with these instances; undefined: nobody knows. */
function target(
  reads: TargetWorld["reads"],
  instances: Readonly<Record<string, readonly Instance[]>> | undefined,
  over: { readonly acceptedReads?: TargetWorld["reads"]; readonly leftOut?: readonly string[] } = {},
): TargetWorld {
  return {
    reads,
    accepted: instances && {
      instances: new Map(Object.entries(instances)),
      reads: over.acceptedReads ?? reads ?? reading(),
      isLeftOut: ({ id }) => over.leftOut?.includes(id) ?? false,
    },
  };
}

const ref = (id: string, service = "web") => ({ service, id });

describe("what the targets of a templater have applied, taken together", () => {
  it("is what the file of its only target was made from", () => {
    const note = acknowledged("lb1", at, [target(reading("web"), { web: [web("b"), web("a", "draining")] })]);
    expect(encodeAcknowledgement(note)).toBe(
      `{"node":"lb1","at":"${at}","services":["web"],"applied":{"web":{"ids":["a","b"],"notReady":["a"],"draining":["a"]}}}`,
    );
  });

  // Of the one instance: whether it is out while its record is there, whether it is once that is gone, whether it is in.
  it.each<[what: string, targets: readonly TargetWorld[], out: boolean, gone: boolean, into: boolean]>([
    [
      "ready in both",
      [target(reading("web"), { web: [web("a")] }), target(reading("web"), { web: [web("a")] })],
      false,
      false,
      true,
    ],
    [
      "one has applied its drain, the other has not",
      [target(reading("web"), { web: [web("a")] }), target(reading("web"), { web: [web("a", "draining")] })],
      false,
      false,
      false,
    ],
    [
      "not there in one, ready in the other",
      [target(reading("web"), { web: [] }), target(reading("web"), { web: [web("a")] })],
      false,
      false,
      false,
    ],
    [
      "drained in one, gone in the other",
      [target(reading("web"), { web: [web("a", "draining")] }), target(reading("web"), { web: [] })],
      false,
      true,
      false,
    ],
    [
      "nobody knows what one of them runs with",
      [target(reading("web"), { web: [web("a", "draining")] }), target(reading("web"), undefined)],
      false,
      false,
      false,
    ],
    [
      "the one that is not known reads something else",
      [target(reading("web"), { web: [web("a", "draining")] }), target(reading("db"), undefined)],
      true,
      true,
      false,
    ],
    [
      "the one that is not known may read anything",
      [target(reading("web"), { web: [web("a", "draining")] }), target(undefined, undefined)],
      false,
      false,
      false,
    ],
    ["drained", [target(reading("web"), { web: [web("a", "draining")] })], true, true, false],
    [
      "not ready for another reason",
      [target(reading("web"), { web: [web("a", "starting")] })],
      false,
      true,
      false,
    ],
    [
      "left out of the file",
      [target(reading("web"), { web: [web("a")] }, { leftOut: ["a"] })],
      false,
      true,
      false,
    ],
    [
      "read by the next template only, which is not accepted yet",
      [target(reading("web", "db"), { db: [] }, { acceptedReads: reading("db") })],
      true,
      true,
      true,
    ],
    ["no target reads it", [target(reading("db"), { db: [] })], true, true, true],
    ["all services are read, and this one has none", [target(everything, { db: [] })], false, true, false],
    ["all services are read, and it is ready", [target(everything, { web: [web("a")] })], false, false, true],
    ["all services are read, and nothing is known", [target(everything, undefined)], false, false, false],
  ])("%s", (_what, targets, out, gone, into) => {
    const note = acknowledged("lb1", at, targets);
    const read = decodeAcknowledgement(encodeAcknowledgement(note), "templaters/lb1");
    expect(read).toEqual(note);
    expect(isOut(read, ref("a"), true)).toBe(out);
    expect(isOut(read, ref("a"), false)).toBe(gone);
    expect(isIn(read, ref("a"))).toBe(into);
  });

  it("fits a store also where a registry is large, and tells what has changed last", () => {
    const many = (service: string) => Array.from({ length: 900 }, (_, n) => web(`${service}-${n}`));
    const world = { a: many("a"), b: many("b"), c: many("c"), d: [web("d")] };
    const rank = (service: string) => "cdab".indexOf(service);
    const note = acknowledged("lb1", at, [target(everything, world)], rank);
    expect([...note.applied.keys()]).toEqual(["a", "b", "d"]);
    expect(note.complete).toBe(false);
    expect(isOut(note, ref("x", "c"), false)).toBe(false);
    expect(isOut(note, ref("x", "b"), false)).toBe(true);
    expect(encodeAcknowledgement(note).length).toBeLessThan(100_000);
  });
});

describe("a note that somebody else has written", () => {
  it.each([
    ["{", /^templaters\/x: not JSON$/],
    ["[]", /not a JSON object/],
    ['{"at":"","services":[],"applied":{}}', /"node" is not/],
    ['{"node":"n","services":[],"applied":{}}', /"at" is not/],
    ['{"node":"n","at":"","services":"some","applied":{}}', /"services" is not an array of strings/],
    ['{"node":"n","at":"","services":[],"applied":[]}', /"applied" is not/],
    ['{"node":"n","at":"","services":[],"applied":{"web":{"ids":[1],"notReady":[]}}}', /"ids" is not/],
    ['{"node":"n","at":"","services":[],"applied":{"web":{"ids":[]}}}', /"notReady" is not/],
  ])("%s is refused", (text, complaint) => {
    expect(() => decodeAcknowledgement(text, "templaters/x")).toThrow(complaint);
  });

  it("may hold what a newer version says", () => {
    const note = decodeAcknowledgement(
      '{"node":"n","at":"","services":["web"],"applied":{"web":{"ids":["a"],"notReady":[],"new":1}},"new":2}',
      "templaters/x",
    );
    expect(isIn(note, ref("a"))).toBe(true);
  });
});
