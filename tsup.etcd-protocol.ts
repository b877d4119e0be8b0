import { createRequire } from "node:module";
import { join } from "node:path";

// What tsup.config.ts puts where etcd3 looks for its protocol: etcd3 describes each message and each service that it finds
// there whenever it is loaded, for which a start waits.

/** The calls that Portolan makes, by service. */
export const calls: Readonly<Record<string, readonly string[]>> = {
  Auth: ["Authenticate"],
  KV: ["Range", "Txn"],
  Lease: ["LeaseGrant", "LeaseKeepAlive", "LeaseRevoke", "LeaseTimeToLive"],
  Watch: ["Watch"],
};

/** A part of a parsed protocol, as far as it is looked at: a message has fields, a service has methods. */
interface Part {
  readonly name: string;
  readonly parent: Part | null;
  readonly nestedArray?: readonly Part[];
  readonly fieldsArray?: readonly { readonly resolvedType: Part | null }[];
  readonly methods?: Readonly<Record<string, Method>>;
  toJSON(): object;
}

interface Method {
  readonly resolvedRequestType: Part;
  readonly resolvedResponseType: Part;
}

interface Protobuf {
  readonly Root: new () => Part & {
    loadSync(file: string, options: object): void;
    resolveAll(): void;
    lookup(path: string): Part | null;
  };
}

/** etcd's protocol with no more than `calls` take: in JSON, which the reader of `.proto` files reads as well. */
export function etcdProtocol(folder: string): string {
  const require = createRequire(join(folder, "../package.json"));
  const ofGrpc = createRequire(createRequire(require.resolve("@grpc/grpc-js")).resolve("@grpc/proto-loader"));
  const { Root } = ofGrpc("protobufjs") as Protobuf;
  const root = new Root();
  root.loadSync(join(folder, "rpc.proto"), { keepCase: true });
  root.resolveAll();

  /** By package. */
  const kept = new Map<string, Map<string, object>>();
  const keep = (part: Part, json: () => object): boolean => {
    const { name, parent } = part;
    if (!parent) throw new Error(`${name} stands in no package`);
    // What stands in a message comes with it.
    if (parent.fieldsArray) return keep(parent, () => parent.toJSON());
    const known = kept.get(parent.name) ?? new Map<string, object>();
    kept.set(parent.name, known);
    if (known.has(name)) return false;
    known.set(name, json());
    return true;
  };
  const follow = (part: Part | null) => {
    if (!part || !keep(part, () => part.toJSON())) return;
    for (const inside of [part, ...(part.nestedArray ?? [])])
      for (const { resolvedType } of inside.fieldsArray ?? []) follow(resolvedType);
  };
  for (const [service, names] of Object.entries(calls)) {
    const part = root.lookup(`etcdserverpb.${service}`);
    if (!part?.methods) throw new Error(`etcd's protocol has no service ${service}`);
    const { methods } = part;
    keep(part, () => {
      const whole = part.toJSON() as { readonly methods: Readonly<Record<string, object>> };
      return { ...whole, methods: Object.fromEntries(names.map((name) => [name, whole.methods[name]])) };
    });
    for (const name of names) {
      const method = methods[name];
      if (!method) throw new Error(`etcd's service ${service} has no ${name}`);
      follow(method.resolvedRequestType);
      follow(method.resolvedResponseType);
    }
  }
  const nested = [...kept].map(([name, parts]) => [name, { nested: Object.fromEntries(parts) }]);
  return JSON.stringify({ nested: Object.fromEntries(nested) });
}
