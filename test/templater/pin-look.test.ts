import { expect, it } from "vitest";
import { createPinLook } from "../../src/templater/pin-look.ts";
import type { Pin } from "../../src/templater/pins.ts";

const pin: Pin = { targets: ["/a"], files: { "/a": null }, change: 3 };

/** A look at a pin that the test puts there; each read is answered when the test says so. */
function createLook() {
  const reads: (() => void)[] = [];
  const place: { pin: Pin | undefined } = { pin: undefined };
  const look = createPinLook(
    () =>
      new Promise((resolve) => {
        const { pin: seen } = place;
        reads.push(() => resolve(seen));
      }),
  );
  return { look, place, reads, answer: () => reads.shift()?.() };
}

it("asks before the first pass, and then not again while nothing is told", async () => {
  const { look, reads, answer } = createLook();
  const first = look.begin();
  answer();
  expect(await first).toBeUndefined();
  expect(await look.begin()).toBeUndefined();
  expect(reads).toHaveLength(0);
});

it("asks again once one may have come, and as long as one is in force", async () => {
  const { look, place, answer } = createLook();
  const first = look.begin();
  answer();
  await first;
  place.pin = pin;
  look.changed();
  for (let pass = 0; pass < 2; pass++) {
    const next = look.begin();
    answer();
    expect(await next).toBe(pin);
  }
});

it("sees after a pass what nothing has told of", async () => {
  const { look, place, answer } = createLook();
  const first = look.begin();
  answer();
  await first;
  place.pin = pin;
  const end = look.end();
  answer();
  expect(await end).toBe(true);
  const next = look.begin();
  answer();
  expect(await next).toBe(pin);
});

it("does not believe an answer from before it was told of one", async () => {
  const { look, place, answer } = createLook();
  const end = look.end();
  place.pin = pin;
  look.changed();
  answer();
  expect(await end).toBe(false);
  const next = look.begin();
  answer();
  expect(await next).toBe(pin);
});
