import { expect, it, vi } from "vitest";
import { createCell } from "../src/source.ts";

it("calls no listener any more once it has unsubscribed, even while others are being called", () => {
  const cell = createCell<number>();
  const second = vi.fn();
  let unsubscribe = () => {};
  cell.subscribe(() => unsubscribe());
  unsubscribe = cell.subscribe(second);
  cell.set(1);
  expect(second).not.toHaveBeenCalled();
});
