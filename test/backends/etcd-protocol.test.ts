import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { calls, etcdProtocol } from "../../tsup.etcd-protocol.ts";
import { tempDir } from "../servers/run.ts";

/** What gRPC is told of a call. */
interface Call {
  readonly path: string;
  readonly requestType: { readonly type: object };
  readonly responseType: { readonly type: object };
  requestSerialize(request: object): Buffer;
  requestDeserialize(bytes: Buffer): object;
  responseDeserialize(bytes: Buffer): object;
}
type Definition = Readonly<Record<string, Readonly<Record<string, Call>>>>;

const folder = join(dirname(createRequire(import.meta.url).resolve("etcd3/package.json")), "proto");
const ofEtcd = createRequire(join(folder, "../package.json"));
const { loadSync } = createRequire(ofEtcd.resolve("@grpc/grpc-js"))("@grpc/proto-loader") as {
  loadSync(file: string, options: object): Definition;
};
/** As etcd3 reads it. */
const read = (file: string) =>
  loadSync(file, { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true });

const whole = read(join(folder, "rpc.proto"));
const kept = (() => {
  const file = join(tempDir("protocol"), "rpc.proto");
  writeFileSync(file, etcdProtocol(folder));
  return read(file);
})();

const all = Object.entries(calls).flatMap(([service, names]) =>
  names.map((name) => [service, name] as const),
);
const callOf = (definition: Definition, service: string, name: string) => {
  const call = definition[`etcdserverpb.${service}`]?.[name];
  if (!call) throw new Error(`no ${service}.${name}`);
  return call;
};

it.each(all)("the built program's %s.%s is etcd's", (service, name) => {
  const [before, after] = [callOf(whole, service, name), callOf(kept, service, name)];
  const facts = ({ path, requestType, responseType, ...rest }: Call) => ({
    path,
    request: requestType.type,
    response: responseType.type,
    rest: Object.entries(rest).filter(([, value]) => typeof value === "boolean"),
  });
  expect(facts(after)).toEqual(facts(before));
});

const key = Buffer.from("key");
const samples: readonly (readonly [service: string, name: string, request: object])[] = [
  ["Auth", "Authenticate", { name: "a", password: "b" }],
  ["KV", "Range", { key, range_end: key, limit: "3", sort_order: "DESCEND" }],
  [
    "KV",
    "Txn",
    {
      compare: [{ result: "Equal", target: "MOD", key, mod_revision: "0" }],
      success: [{ request_put: { key, value: key, lease: "9007199254740993" } }],
      failure: [{ request_txn: { success: [{ request_delete_range: { key } }] } }],
    },
  ],
  ["Lease", "LeaseGrant", { TTL: 15 }],
  ["Lease", "LeaseKeepAlive", { ID: "7" }],
  ["Lease", "LeaseRevoke", { ID: "7" }],
  ["Lease", "LeaseTimeToLive", { ID: "7", keys: true }],
  [
    "Watch",
    "Watch",
    { create_request: { key, start_revision: "12", filters: ["NOPUT", "NODELETE"], progress_notify: true } },
  ],
];

it.each(samples)("%s.%s says and hears the same bytes", (service, name, request) => {
  const [before, after] = [callOf(whole, service, name), callOf(kept, service, name)];
  const bytes = before.requestSerialize(request);
  expect(after.requestSerialize(request)).toEqual(bytes);
  expect(after.requestDeserialize(bytes)).toEqual(before.requestDeserialize(bytes));
  const nothing = Buffer.alloc(0);
  expect(after.responseDeserialize(nothing)).toEqual(before.responseDeserialize(nothing));
});

it("is all that the client asks of etcd", () => {
  const client = readFileSync(join(import.meta.dirname, "../../src/backends/etcd/client.ts"), "utf8");
  const used = [...client.matchAll(/client\.(kv|leaseClient|watchClient)\.(\w+)/g)].map(([, of, name]) => [
    of,
    name,
  ]);
  const service = { kv: "KV", leaseClient: "Lease", watchClient: "Watch" };
  const named = all.flatMap(([of, name]) =>
    of === "Auth" ? [] : [`${of}.${name.charAt(0).toLowerCase()}${name.slice(1)}`],
  );
  expect(used.map(([of, name]) => `${service[of as keyof typeof service]}.${name}`).sort()).toEqual(
    named.sort(),
  );
  expect(client).not.toMatch(/client\.(auth|cluster|maintenance|role|user|lock|election)/i);
});
