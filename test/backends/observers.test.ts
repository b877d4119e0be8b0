import { expect, it } from "vitest";
import { createObservers } from "../../src/backends/observers.ts";
import { createRecords } from "../../src/backends/records.ts";

it("does not show an answer that came after the last observation had closed to the next one", async () => {
  const observers = createObservers(createRecords(), { start() {}, stop() {}, refresh() {} });
  await observers.observe({ services: "all" }).close();
  observers.publish();
  expect(observers.observe({ services: "all" }).current().known).toBe(false);
  observers.close();
});
