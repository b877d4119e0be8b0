import { expect, it } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import type { Fields, Log } from "../../src/log.ts";
import { createUnreadable } from "../../src/templater/unreadable.ts";

const holding = (invalid: Readonly<Record<string, string>>) => {
  const value: Snapshot = { services: new Map(), complete: true, invalid: new Map(Object.entries(invalid)) };
  return { known: true, value } as const;
};

it("tells of an unreadable record once, lists it, and says when it is over", () => {
  const told: [string, unknown, unknown][] = [];
  const note = (level: string) => (fields: Fields) => void told.push([level, fields.place, fields.reason]);
  const log: Log = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
  const unreadable = createUnreadable("etcd://h", log);
  unreadable.see({ known: false });
  expect(unreadable.status()).toEqual([]);
  unreadable.see(holding({ "/a": "not JSON" }));
  unreadable.see(holding({ "/a": "not JSON", "/b": "no port" }));
  unreadable.see(holding({ "/a": "not JSON", "/b": "no port" }));
  expect(unreadable.status()).toEqual([
    { place: "/a", reason: "not JSON" },
    { place: "/b", reason: "no port" },
  ]);
  unreadable.see(holding({ "/b": "no address" }));
  expect(told).toEqual([
    ["warn", "/a", "not JSON"],
    ["warn", "/b", "no port"],
    ["warn", "/b", "no address"],
    ["info", "/a", undefined],
  ]);
  expect(unreadable.status()).toEqual([{ place: "/b", reason: "no address" }]);
});
