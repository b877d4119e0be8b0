import { describe, expect, it } from "vitest";
import { deregisterModeOf } from "../../src/registrator/rules/deregister-mode.ts";
import { keepsRecord } from "../../src/registrator/rules/exit-rules.ts";

/** Exit code, whether Portolan's own rule keeps the record on-success, and whether registrator's does. */
const onSuccess: readonly (readonly [
  what: string,
  code: number | undefined,
  own: boolean,
  compat: boolean,
])[] = [
  ["an end as wanted", 0, false, false],
  ["a failure", 1, true, true],
  ["not executable", 126, true, true],
  ["not found", 127, true, true],
  ["128 is no signal, but has the bit", 128, true, false],
  ["SIGHUP", 129, false, false],
  ["SIGINT", 130, false, false],
  ["SIGKILL, or out of memory", 137, false, false],
  ["SIGTERM", 143, false, false],
  ["the last signal", 159, false, false],
  ["just above the signals", 160, true, false],
  ["PHP's exit after a fatal error", 255, true, false],
  ["beyond a byte, without the bit", 256, true, true],
  ["beyond a byte, with the bit", 384, true, false],
  ["removed by Docker (--rm)", undefined, false, false],
];

describe("keepsRecord", () => {
  it.each(onSuccess)("on-success, %s (%s): own rule %s, registrator's %s", (_, code, own, compat) => {
    expect(keepsRecord(code, "on-success", false)).toBe(own);
    expect(keepsRecord(code, "on-success", true)).toBe(compat);
  });

  it.each([0, 1, 128, 137, 255, undefined])("always keeps nothing (%s)", (code) => {
    expect(keepsRecord(code, "always", false)).toBe(false);
    expect(keepsRecord(code, "always", true)).toBe(false);
  });

  it.each([0, 1, 128, 137, 255])("never keeps all (%s)", (code) => {
    expect(keepsRecord(code, "never", false)).toBe(true);
    expect(keepsRecord(code, "never", true)).toBe(true);
  });

  it("never keeps nothing that Docker has removed", () => {
    expect(keepsRecord(undefined, "never", false)).toBe(false);
    expect(keepsRecord(undefined, "never", true)).toBe(false);
  });
});

describe("deregisterModeOf", () => {
  const mode = (labels: Record<string, string>, env: Record<string, string> = {}) =>
    deregisterModeOf({ labels, env }, { deregister: "on-success", labelPrefix: "SERVICE_" });

  it.each([
    ["the option", {}, {}, "on-success"],
    ["a label", { SERVICE_DEREGISTER: "never" }, {}, "never"],
    ["a label in another case, as other labels may be", { SERVICE_Deregister: "never" }, {}, "never"],
    ["a value with blanks around", { SERVICE_DEREGISTER: " never " }, {}, "never"],
    ["the usual spelling of two", { SERVICE_DEREGISTER: "never", SERVICE_deregister: "always" }, {}, "never"],
    ["a variable", {}, { SERVICE_DEREGISTER: "always" }, "always"],
    ["a label before a variable", { SERVICE_deregister: "never" }, { SERVICE_DEREGISTER: "always" }, "never"],
    ["no word that is none", { SERVICE_DEREGISTER: "sometimes" }, {}, "on-success"],
    ["no word in another case", { SERVICE_DEREGISTER: "NEVER" }, {}, "on-success"],
    ["no label of a port", { SERVICE_80_DEREGISTER: "never" }, {}, "on-success"],
  ] as const)("%s counts", (_what, labels, env, expected) => {
    expect(mode(labels, env)).toBe(expected);
  });
});
