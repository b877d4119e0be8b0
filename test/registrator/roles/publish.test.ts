import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseProbeLogin } from "../../../src/config/probe-login.ts";
import type { Instance } from "../../../src/instance.ts";
import { credentialsFor } from "../../../src/registrator/roles/credentials.ts";
import { withStanding } from "../../../src/registrator/roles/publish.ts";
import { unprobed } from "../../../src/registrator/roles/standing.ts";

const instance: Instance = {
  id: "h:db:5432",
  service: "db",
  address: "10.0.0.5",
  port: 5432,
  protocol: "tcp",
  tags: ["blue"],
  meta: {},
  weight: 1,
  state: "ready",
  node: "h",
};
const found = (role: "master" | "slave", epoch?: string) => ({
  ...unprobed,
  finding: { role, ...(epoch !== undefined && { epoch }) },
});

describe("a role that was found", () => {
  it("stands in the record and among the tags, a master's with its claim", () => {
    expect(withStanding(instance, { by: "postgres" }, found("master", "3"))).toEqual({
      ...instance,
      tags: ["blue", "master"],
      role: "master",
      claim: { by: "postgres", epoch: "3" },
    });
    expect(withStanding(instance, { by: "http", path: "/primary" }, found("master")).claim).toEqual({
      by: "http:/primary",
    });
    const slave = withStanding(instance, { by: "redis" }, found("slave"));
    expect(slave).toEqual({ ...instance, tags: ["blue", "slave"], role: "slave" });
  });

  it("changes nothing while it is unknown, and gives the same object for the same finding", () => {
    expect(withStanding(instance, { by: "redis" }, undefined)).toBe(instance);
    expect(withStanding(instance, { by: "redis" }, unprobed)).toBe(instance);
    const first = withStanding(instance, { by: "redis" }, found("master"));
    expect(withStanding(instance, { by: "redis" }, found("master"))).toBe(first);
  });

  it("says a word once that stands among the tags already", () => {
    const tagged = { ...instance, tags: ["slave", "blue"] };
    expect(withStanding(tagged, { by: "redis" }, found("slave")).tags).toEqual(["slave", "blue"]);
  });
});

describe("--probe-credentials", () => {
  it.each([
    ["redis=:/run/redis", ["redis", { passwordFile: "/run/redis" }]],
    ["postgres=portolan", ["postgres", { user: "portolan" }]],
    ["db=portolan:/run/secrets/a:b", ["db", { user: "portolan", passwordFile: "/run/secrets/a:b" }]],
  ])("%s", (text, expected) => {
    expect(parseProbeLogin(text)).toEqual(expected);
  });

  it.each(["redis", "=a:/b", "redis=", "redis=:"])("%j is refused", (text) => {
    expect(() => parseProbeLogin(text)).toThrow("is not NAME=USER:FILE");
  });

  it("refuses a relative path, and never repeats what may be a password", () => {
    expect(() => parseProbeLogin("redis=admin:hunter2")).toThrow("absolute path");
    expect(() => parseProbeLogin("redis=admin:hunter2")).not.toThrow("hunter2");
    expect(() => parseProbeLogin("re dis=admin:hunter2")).not.toThrow("hunter2");
  });

  it("are a service's own before those of its kind, and read anew each time", () => {
    const folder = mkdtempSync(join(tmpdir(), "portolan-credentials-"));
    const file = join(folder, "password");
    const logins = new Map([parseProbeLogin(`redis=all:${file}`), parseProbeLogin(`cache=one:${file}`)]);
    writeFileSync(file, "first\n");
    expect(credentialsFor(logins, "cache", "redis")).toEqual({ user: "one", password: "first" });
    writeFileSync(file, "second");
    expect(credentialsFor(logins, "other", "redis")).toEqual({ user: "all", password: "second" });
    expect(credentialsFor(logins, "db", "postgres")).toEqual({});
    rmSync(folder, { recursive: true });
    expect(() => credentialsFor(logins, "cache", "redis")).toThrow(`${file} of --probe-credentials`);
  });
});
