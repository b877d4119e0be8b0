import { expect, it } from "vitest";
import type { Journal, Verdict } from "../../src/templater/journal.ts";
import { createVerdicts } from "../../src/templater/verdicts.ts";

it("names the services that changed in each verdict until they are accepted", async () => {
  const told: Pick<Verdict, "verdict" | "cause">[] = [];
  const journal = { add: async ({ verdict, cause }: Verdict) => void told.push({ verdict, cause }) };
  const verdicts = createVerdicts(["/out"], async () => journal as unknown as Journal, { warn() {} });
  verdicts.changing(["app"]);
  verdicts.tell("rejected", { gist: "no such port", why: "no such port 1" });
  verdicts.tell("rejected", { gist: "no such port", why: "no such port 2" });
  verdicts.changing(["app", "web"]);
  verdicts.tell("rejected", { gist: "no such host", why: "no such host" });
  verdicts.tell("applied", {});
  verdicts.because("start");
  verdicts.changing(["app", "web"]);
  verdicts.tell("held", { gist: "too few" });
  verdicts.tell("reloaded", {});
  verdicts.tell("rejected", { gist: "no such file" });
  await verdicts.written();
  expect(told.map(({ verdict, cause }) => [verdict, ...cause])).toEqual([
    ["rejected", "service app"],
    ["rejected", "service app", "service web"],
    ["applied", "service app", "service web"],
    ["held", "start"],
    ["reloaded", "service app", "service web"],
    ["rejected", "another try"],
  ]);
});

it("tells what was refused with its rejection, also when what was owed is accepted before that", async () => {
  const told: Pick<Verdict, "verdict" | "cause" | "refused">[] = [];
  const journal = {
    add: async ({ verdict, cause, refused }: Verdict) => void told.push({ verdict, cause, refused }),
  };
  const verdicts = createVerdicts(["/out"], async () => journal as unknown as Journal, { warn() {} });
  const file = { destination: "/out", before: undefined, after: Buffer.from("new") };
  verdicts.changing(["web"]);
  verdicts.refused([file]);
  verdicts.tell("reloaded", { services: ["app"] });
  verdicts.tell("rejected", {});
  // Overtaken before it was told.
  verdicts.refused([file]);
  verdicts.changing(["web"]);
  verdicts.tell("rejected", { gist: "the proxy has refused it" });
  await verdicts.written();
  expect(told.map(({ verdict, cause, refused }) => [verdict, ...cause, refused?.length])).toEqual([
    ["reloaded", "service app", undefined],
    ["rejected", "service web", 1],
    ["rejected", "service web", undefined],
  ]);
});
