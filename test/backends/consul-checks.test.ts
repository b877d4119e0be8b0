import { describe, expect, it } from "vitest";
import { type CheckRules, orderedChecks } from "../../src/backends/consul/checks.ts";
import { orderInNotes, orderNotes } from "../../src/backends/consul/order.ts";
import { someInstance, someOwner } from "./contract/suite.ts";

const rules: CheckRules = { noScripts: undefined, leaseTtl: 15 };
const order = (checks: Record<string, string>, over: object = {}, by: Partial<CheckRules> = {}) => {
  const instance = {
    ...someInstance(someOwner()),
    id: "i",
    address: "10.0.0.5",
    port: 8080,
    checks,
    ...over,
  };
  const { checks: made, leftOut } = orderedChecks(instance, { ...rules, ...by });
  return { bodies: Object.fromEntries(made.map(({ id, body }) => [id, body])), leftOut, made };
};
const http = { Name: "HTTP", HTTP: "http://10.0.0.5:8080/health", Interval: "10s" };

describe("orders of checks", () => {
  it.each<[string, Record<string, string>, Record<string, unknown>]>([
    ["nothing", {}, {}],
    ["a path", { http: "/health" }, { http }],
    ["a path without its slash", { http: "health" }, { http }],
    [
      "a path that no URL can hold as it is",
      { http: "/a b?c=d e#f" },
      { http: { ...http, HTTP: "http://10.0.0.5:8080/a%20b?c=d%20e" } },
    ],
    [
      "a whole URL",
      { http: "https://example.test/x" },
      { http: { ...http, HTTP: "https://example.test/x" } },
    ],
    ["an empty value", { http: " ", tcp: "" }, {}],
    [
      "a method, headers and a body",
      { http: "/health", http_method: "post", header: "X-A: b: c\nX-D: e\nX-D: f", body: "hello" },
      { http: { ...http, Method: "POST", Header: { "X-A": ["b: c"], "X-D": ["e", "f"] }, Body: "hello" } },
    ],
    [
      "headers in JSON",
      { http: "/health", header: '{"X-A":"b","X-D":["e","f"]}' },
      { http: { ...http, Header: { "X-A": ["b"], "X-D": ["e", "f"] } } },
    ],
    [
      "headers with names that every object has",
      { http: "/health", header: "constructor: a\n__proto__: b\n__proto__: c" },
      {
        http: {
          ...http,
          Header: Object.fromEntries([
            ["constructor", ["a"]],
            ["__proto__", ["b", "c"]],
          ]),
        },
      },
    ],
    [
      "HTTPS beside HTTP, each with its method",
      { http: "/health", https: "/x", method: "HEAD", https_method: "PUT", tls_skip_verify: "true" },
      {
        http: { ...http, Method: "HEAD", TLSSkipVerify: true },
        https: {
          Name: "HTTPS",
          HTTP: "https://10.0.0.5:8080/x",
          Method: "PUT",
          TLSSkipVerify: true,
          Interval: "10s",
        },
      },
    ],
    [
      "TCP as upstream says it",
      { tcp: "true" },
      { tcp: { Name: "TCP", TCP: "10.0.0.5:8080", Interval: "10s" } },
    ],
    ["no TCP", { tcp: "false" }, {}],
    ["TCP of another port", { tcp: ":9" }, { tcp: { Name: "TCP", TCP: "10.0.0.5:9", Interval: "10s" } }],
    ["TCP of another host", { tcp: "h:9" }, { tcp: { Name: "TCP", TCP: "h:9", Interval: "10s" } }],
    ["gRPC", { grpc: "1" }, { grpc: { Name: "gRPC", GRPC: "10.0.0.5:8080", Interval: "10s" } }],
    [
      "gRPC of a service over TLS",
      { grpc: "/my.Service", grpc_use_tls: "yes", tls_skip_verify: "on" },
      {
        grpc: {
          Name: "gRPC",
          GRPC: "10.0.0.5:8080/my.Service",
          GRPCUseTLS: true,
          TLSSkipVerify: true,
          Interval: "10s",
        },
      },
    ],
    [
      "gRPC of another port",
      { grpc: ":9/x" },
      { grpc: { Name: "gRPC", GRPC: "10.0.0.5:9/x", Interval: "10s" } },
    ],
    ["a TTL", { ttl: "1m30s", interval: "3s" }, { ttl: { Name: "The container runs", TTL: "90s" } }],
    [
      "a script",
      { script: `check "a b" --at $SERVICE_IP:\${SERVICE_PORT} '$SERVICE_IPX'` },
      {
        script: {
          Name: "Script",
          Args: ["check", "a b", "--at", "10.0.0.5:8080", "$SERVICE_IPX"],
          Interval: "10s",
        },
      },
    ],
    [
      "what every kind has",
      {
        tcp: "yes",
        interval: "5",
        timeout: "500ms",
        initial_status: "Passing",
        deregister_after: "10m",
        success_before_passing: "2",
        failures_before_critical: "3",
      },
      {
        tcp: {
          Name: "TCP",
          TCP: "10.0.0.5:8080",
          Interval: "5s",
          Timeout: "500ms",
          Status: "passing",
          DeregisterCriticalServiceAfter: "10m",
          SuccessBeforePassing: 2,
          FailuresBeforeCritical: 3,
        },
      },
    ],
    [
      "further groups, with their own shape or the common one",
      { http: "/health", interval: "5s", "2_http": "/deep", "2_interval": "1m", "3_tcp": ":9" },
      {
        http: { ...http, Interval: "5s" },
        "2_http": { ...http, Name: "HTTP 2", HTTP: "http://10.0.0.5:8080/deep", Interval: "1m" },
        "3_tcp": { Name: "TCP 3", TCP: "10.0.0.5:9", Interval: "5s" },
      },
    ],
    ["a shape without a check", { interval: "5s" }, {}],
  ])("understands %s", (_, checks, bodies) => {
    const { bodies: made, leftOut } = order(checks);
    expect(made).toEqual(
      Object.fromEntries(Object.entries(bodies).map(([key, body]) => [`portolan-check:i:${key}`, body])),
    );
    expect(leftOut).toEqual([]);
  });

  it("writes IPv6 addresses in brackets, and without them where nobody parses them", () => {
    const { bodies } = order(
      { http: "/", tcp: "true", grpc: "/s", script: "x $SERVICE_IP" },
      { address: "fd00::5" },
    );
    expect(Object.values(bodies)).toMatchObject([
      { HTTP: "http://[fd00::5]:8080/" },
      { TCP: "[fd00::5]:8080" },
      { GRPC: "[fd00::5]:8080/s" },
      { Args: ["x", "fd00::5"] },
    ]);
  });

  it.each<[Record<string, string>, Partial<CheckRules>, string]>([
    [{ http: "http://[" }, {}, "CHECK_HTTP=http://[: no URL; write a path like /health"],
    [{ ttl: "soon" }, {}, "CHECK_TTL=soon: no duration; write e.g. 10s"],
    [{ ttl: "30s" }, { leaseTtl: 0 }, "CHECK_TTL=30s: its heartbeats need a --ttl"],
    [{ script: "a 'b" }, {}, "CHECK_SCRIPT: a quote has no end"],
    [{ script: "a" }, { noScripts: "no scripts; allow them" }, "CHECK_SCRIPT: no scripts; allow them"],
    [{ cmd: "x" }, {}, "CHECK_CMD: needs a Consul image of old; use CHECK_SCRIPT"],
    [{ htpp: "/x" }, {}, "CHECK_HTPP: no such check; known are CHECK_HTTP, CHECK_HTTPS"],
    [{ "2_ttl": "x".repeat(200) }, {}, `CHECK_2_TTL=${"x".repeat(100)}…: no duration`],
  ])("leaves %j out and says so", (checks, by, why) => {
    const { bodies, leftOut } = order(checks, {}, by);
    expect(bodies).toEqual({});
    expect(leftOut).toEqual([expect.stringContaining(why) as string]);
  });

  it.each([
    ["header", "Authorization hunter2"],
    ["2_body", "hunter2"],
    ["script", "x --password hunter2 'y"],
    ["cmd", "x hunter2"],
    ["heder", "X-Token: hunter2"],
    ["http", "http://me:hunter2@[/"],
    ["https", "https://[/?a=b&api_Token=hunter2"],
    ["ttl", "/?PASSWORD=hunter2"],
  ])("does not repeat what CHECK_%s says where that may be a secret", (key, value) => {
    const { leftOut } = order({ http: "/", [key]: value });
    expect(leftOut.join()).not.toContain("hunter2");
    expect(orderNotes({ [key]: value })).not.toContain("hunter2");
  });

  it("makes a check without those of its modifiers that it does not understand", () => {
    const { bodies, leftOut } = order({
      http: "/health",
      interval: "0s",
      timeout: "99999999h",
      initial_status: "green",
      deregister_after: "soon",
      success_before_passing: "-1",
      failures_before_critical: "many",
      method: "GET /",
      header: "secret",
      tls_skip_verify: "maybe",
    });
    expect(Object.values(bodies)).toEqual([http]);
    expect(leftOut).toEqual([
      "CHECK_DEREGISTER_AFTER=soon: no duration; write e.g. 10s; the check goes without it",
      "CHECK_FAILURES_BEFORE_CRITICAL=many: not a number from 0 to 9999; the check goes without it",
      'CHECK_HEADER: no header; write "Name: value", one a line, or a JSON object of lists; the check goes without it',
      "CHECK_INITIAL_STATUS=green: not passing, warning or critical; the check goes without it",
      "CHECK_INTERVAL=0s: no duration; write e.g. 10s; the check goes without it",
      "CHECK_METHOD=GET /: no HTTP method; the check goes without it",
      "CHECK_SUCCESS_BEFORE_PASSING=-1: not a number from 0 to 9999; the check goes without it",
      "CHECK_TIMEOUT=99999999h: no duration; write e.g. 10s; the check goes without it",
      "CHECK_TLS_SKIP_VERIFY=maybe: neither true nor false; the check goes without it",
    ]);
  });

  it("gives a TTL no less time than the registrator's own heartbeat has", () => {
    const { made, leftOut } = order({ ttl: "3s" });
    expect(made).toMatchObject([{ ttl: 15, body: { TTL: "15s" } }]);
    expect(leftOut).toEqual(["CHECK_TTL=3s: shorter than the registrator's own --ttl, so 15s is used"]);
  });
});

describe("the notes of an order", () => {
  it("give it back, and say nothing of what may be a secret", () => {
    const given = { http: "/health", interval: "5s", header: "Authorization: hunter2", script: "x hunter2" };
    const url = { "2_http": "http://me:hunter2@h/" };
    const notes = orderNotes({ ...given, ...url });
    expect(notes).not.toContain("hunter2");
    expect(orderInNotes(notes)).toMatchObject({ http: "/health", interval: "5s" });
    expect(orderNotes({ b: "1", a: "2" })).toBe(orderNotes({ a: "2", b: "1" }));
  });

  it.each(["", "by hand", "portolan: draining", "portolan: checks {", "portolan: checks 1"])(
    "are not in %j",
    (notes) => {
      expect(orderInNotes(notes)).toBeUndefined();
    },
  );
});
