import { expect, it } from "vitest";
import type { Backend, Snapshot } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { afterFirstLook } from "../../src/commands/after-first-look.ts";
import { PortolanError } from "../../src/errors.ts";
import { createCell } from "../../src/source.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";

/** A look that ends when it is told to. */
function createLook() {
  let end = () => {};
  const seen = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { seen, end };
}

const signal = new AbortController().signal;
const web = { services: new Set(["web"]) };

async function withOne(): Promise<Backend> {
  const memory = await openMemory();
  const owner = someOwner();
  const lease = memory.lease(owner, 10);
  await lease.renew(signal);
  await lease.register(someInstance(owner), signal);
  return memory;
}

it("knows nothing before the first look, and then what was asked for last", async () => {
  const { seen, end } = createLook();
  const observation = afterFirstLook(await withOne(), seen).observe({ services: new Set() });
  const told: number[] = [];
  observation.subscribe(() => {
    const now = observation.current();
    told.push(now.known ? now.value.services.size : -1);
  });
  observation.refresh();
  observation.want(web);
  expect(observation.current()).toEqual({ known: false });
  end();
  await seen;
  expect(told).toEqual([1]);
  observation.want({ services: new Set(["web", "other"]) });
  observation.want({ services: new Set() });
  expect(told.at(-1)).toBe(0);
});

it("shows problems of the backend as they are", async () => {
  const cell = createCell<Snapshot>();
  const inner = { ...cell, refresh() {}, want() {}, close: async () => {} };
  const backend = { ...(await openMemory()), observe: () => inner };
  const seen = Promise.resolve();
  const observation = afterFirstLook(backend, seen).observe(web);
  await seen;
  const error = new PortolanError("BACKEND_UNREACHABLE", "away");
  cell.fail({ kind: "unreachable", error });
  expect(observation.current()).toEqual({ known: false, problem: { kind: "unreachable", error } });
  const value: Snapshot = { services: new Map(), complete: true, invalid: new Map() };
  cell.set(value);
  expect(observation.current()).toEqual({ known: true, value });
});

it("begins nothing once it was closed, nor without a look", async () => {
  const { seen, end } = createLook();
  const closed = afterFirstLook(await withOne(), seen).observe(web);
  await closed.close();
  end();
  await seen;
  expect(closed.current()).toEqual({ known: false });
  const failed = Promise.reject(new Error("stopped"));
  const never = afterFirstLook(await withOne(), failed).observe(web);
  await failed.catch(() => {});
  expect(never.current()).toEqual({ known: false });
  await never.close();
});
