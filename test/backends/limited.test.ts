import { beforeEach, expect, it, vi } from "vitest";
import { limited } from "../../src/backends/limited.ts";
import { PortolanError } from "../../src/errors.ts";
import { advance, reset } from "../registrator/virtual-clock.ts";

vi.mock("../../src/clock.ts", async (original) => ({
  ...(await original<object>()),
  ...(await import("../registrator/virtual-clock.ts")),
}));

beforeEach(() => reset(1));

const never = new AbortController().signal;
const translate = (error: unknown) => new PortolanError("BACKEND_UNREACHABLE", String(error));
const outcome = <T>(work: Promise<T>) =>
  work.then(
    (value) => ({ value }),
    (error: PortolanError) => ({ code: error.code, message: error.message }),
  );

it("gives a call 5 s", async () => {
  let given: AbortSignal | undefined;
  const silent = outcome(
    limited(
      never,
      (over) => {
        given = over;
        return new Promise(() => {});
      },
      translate,
    ),
  );
  await advance(4_999);
  expect(given?.aborted).toBe(false);
  await advance(1);
  expect(await silent).toMatchObject({
    code: "BACKEND_UNREACHABLE",
    message: expect.stringContaining("no answer within 5 s"),
  });
  expect(given?.aborted).toBe(true);
});

it("gives 5 s anew to what is made of many calls, after each one that ends", async () => {
  let goesOn = () => {};
  let end = (_value: string) => {};
  const many = () =>
    outcome(
      limited(
        never,
        (_over, tell) => {
          goesOn = tell;
          return new Promise<string>((resolve) => {
            end = resolve;
          });
        },
        translate,
      ),
    );
  const whole = many();
  for (let n = 0; n < 10; n += 1) {
    await advance(4_000);
    goesOn();
  }
  end("all");
  expect(await whole).toEqual({ value: "all" });
  goesOn();

  const stuck = many();
  await advance(4_000);
  goesOn();
  await advance(5_000);
  expect(await stuck).toMatchObject({ code: "BACKEND_UNREACHABLE" });
});

it("tells a call that was cancelled from one that failed", async () => {
  const failed = limited(never, () => Promise.reject(new Error("no")), translate);
  expect(await outcome(failed)).toMatchObject({ code: "BACKEND_UNREACHABLE", message: "Error: no" });
  const cancelled = limited(AbortSignal.abort(), async () => "late", translate);
  expect(await outcome(cancelled)).toMatchObject({ code: "ABORTED" });
});
