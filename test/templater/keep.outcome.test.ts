import { describe, expect, it } from "vitest";
import { changedServices } from "../../src/templater/keep/changed-services.ts";
import { acceptedWorlds, missingOf, type Outcome } from "../../src/templater/keep/outcome.ts";
import type { RenderedFiles } from "../../src/templater/rendered-files.ts";
import type { Target } from "../../src/templater/target.ts";
import type { Reads } from "../../src/templater/view.ts";
import { instance, snapshotOf } from "./golden/world.ts";

const reads: Reads = { services: new Set(["web"]), all: false };
const web = instance({ id: "w" });
const snapshot = snapshotOf([web, instance({ service: "api", id: "a" })]);
const target = { destination: "f" } as Target;

function outcomeOf(outcome: RenderedFiles): Outcome {
  const made = [{ target, outcome, bad: undefined }];
  return { made, snapshot, heldBack: [], keys: undefined, unmet: [] };
}

const rendered: RenderedFiles = { status: "rendered", files: [], leftOut: [], refused: [], reads };

it("an outcome says what it waits for, each once and in order", () => {
  expect(missingOf(outcomeOf(rendered))).toBeUndefined();
  const waiting = { status: "waiting", for: ["web", "api", "web"], reads } as const;
  expect(missingOf(outcomeOf(waiting))).toBe("waits for api, web");
});

describe("what a file was made from", () => {
  const accepted = (outcome: RenderedFiles, left: readonly string[] = []) => {
    const leftOut = () => left.map((service) => ({ service, reason: "somebody else's file" }));
    return acceptedWorlds(outcomeOf(outcome), { leftOut })[0];
  };

  it("is all of its world, but for refused instances and services without a file", () => {
    expect(accepted(rendered)).toMatchObject({ instances: snapshot.services, reads });
    expect(accepted(rendered)?.isLeftOut(web)).toBe(false);
    expect(accepted({ ...rendered, refused: [{ ...web, reason: "no" }] })?.isLeftOut(web)).toBe(true);
    expect(accepted(rendered, ["web"])?.isLeftOut(web)).toBe(true);
    expect(accepted(rendered, ["api"])?.isLeftOut(web)).toBe(false);
  });
});

describe("the services that have changed", () => {
  const api = { services: new Set(["api"]), all: false };

  it("are those that are read and differ, also when they came or went", () => {
    const next = { ...snapshot, services: new Map(snapshot.services).set("web", [instance({ port: 81 })]) };
    expect(changedServices([reads, api], snapshot, next)).toEqual(["web"]);
    expect(changedServices([api], snapshot, next)).toEqual([]);
    expect(changedServices([reads, api], undefined, snapshot)).toEqual(["api", "web"]);
    expect(changedServices([reads, api], snapshot, snapshotOf([]))).toEqual(["api", "web"]);
  });

  it("are all that differ where a template reads all; a service that neither has is none", () => {
    const all = { services: new Set(["none"]), all: true };
    expect(changedServices([all], snapshotOf([web]), snapshotOf([]))).toEqual(["web"]);
    expect(changedServices([all], undefined, snapshotOf([]))).toEqual([]);
  });
});
