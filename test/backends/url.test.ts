import { describe, expect, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";

describe("a backend URL", () => {
  it("is split by hand: several hosts, IPv6 in brackets, a path and parameters", () => {
    expect(parseBackendUrl("etcd://h1:2379,[::1]:2380,h3/a/b/?user=me&ca=/x%20y")).toEqual({
      scheme: "etcd",
      hosts: [
        { host: "h1", port: 2379 },
        { host: "::1", port: 2380 },
        { host: "h3", port: undefined },
      ],
      path: "/a/b",
      query: new Map([
        ["user", "me"],
        ["ca", "/x y"],
      ]),
      title: "etcd://h1:2379,[::1]:2380,h3/a/b/?user=me&ca=/x%20y",
    });
    expect(parseBackendUrl("file:///var/lib/a@b").path).toBe("/var/lib/a@b");
    expect(parseBackendUrl("etcd://h/a%40b?user=me@corp").path).toBe("/a@b");
  });

  it.each([
    "etcd://me:s3cret@h:2379/x",
    "etcd://me:s3cret/x@h:2379",
    "etcd://me:12/s3cret@h:2379/x",
    "etcd://me:s3@cret@h/x",
    "etcd://me:s3?cret@h/x",
    "etcd://me:s3?cret=1@h/x",
    "etcd://me:x&s3cret@h/x",
    "etcd:/me:s3cret@h/x",
    "etcd:///me:s3cret@h/x",
    "etcd:me:s3%cret@h",
    "me:s3cret@h:2379",
    "//me:s3cret@h",
    "consl://me:s3cret@h?user=a@b",
    "file://me:s3cret@h/x",
    "consul://h?password=s3cret",
    "consul://h?ca=/x&tokn=s3cret",
  ])("never shows a password that was written into it: %s", async (text) => {
    const error: unknown = await openBackend(text, { env: {} }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "BACKEND_URL" });
    expect(String(error)).not.toMatch(/s3|cret/);
  });
});
