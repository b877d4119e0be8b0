// A real Consul for the faults: its agent's services, and the keys of its KV store.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { openConsulkv } from "../../src/backends/consulkv/consulkv.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { tempDir } from "../servers/run.ts";
import { garbage } from "./garbage.ts";
import type { FaultServer, FaultStore, GuardedServer } from "./store.ts";

/** As the product has them, but for how long Consul may hold a query: silence is noticed after that. */
const timing = { wait: 2_000, patience: 2_000, grace: 2_000 };

const large = `limits {\n  kv_max_value_size = ${16 * 1024 * 1024}\n}\n`;

/** Asks Consul itself. */
async function put(consul: Consul, path: string, body: unknown, token?: string): Promise<unknown> {
  const answer = await fetch(`${consul.url}/v1/${path}`, {
    method: "PUT",
    body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    ...(token !== undefined && { headers: { "x-consul-token": token } }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 200)}`);
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}

const services = (port: number, env = {}, query = "") =>
  openConsul(parseBackendUrl(`consul://127.0.0.1:${port}${query}`), { env }, timing);
const keys = (port: number, place: string, env = {}, query = "") =>
  openConsulkv(parseBackendUrl(`consulkv://127.0.0.1:${port}/${place}${query}`), { env }, timing);

/** A server whose reader is somebody with a token, and what is told of its rights in HCL. */
async function startGuarded(
  rules: string,
  open: (port: number, env: Record<string, string>, query?: string) => ReturnType<typeof services>,
): Promise<GuardedServer> {
  const root = "11111111-1111-1111-1111-111111111111";
  const acl = `acl {\n  enabled = true\n  default_policy = "deny"\n  policy_ttl = "1s"\n  token_ttl = "1s"\n  tokens {\n    master = "${root}"\n  }\n}`;
  const server = await startConsul({ persistent: true, hcl: acl, token: root });
  const admin = (path: string, body: unknown) => put(server, path, body, root);
  const policy = (await admin("acl/policy", { Name: "reader", Rules: rules })) as { readonly ID: string };
  const token = async () => {
    const made = await admin("acl/token", { Policies: [{ Name: "reader" }] });
    return made as { readonly SecretID: string; readonly AccessorID: string };
  };
  const file = join(tempDir("consul-faults"), "token");
  let current = await token();
  await writeFile(file, current.SecretID);
  const setRules = (text: string) =>
    admin(`acl/policy/${policy.ID}`, { ...policy, Name: "reader", Rules: text });
  return {
    ...server,
    openRoot: () => open(server.port, { CONSUL_HTTP_TOKEN: root }),
    openReader: () => open(server.port, {}, `?token-file=${file}`),
    revoke: async () => void (await setRules('key_prefix "elsewhere/" { policy = "read" }')),
    grant: async () => void (await setRules(rules)),
    async change() {
      const before = current.AccessorID;
      current = await token();
      const headers = { "x-consul-token": root };
      await fetch(`${server.url}/v1/acl/token/${before}`, { method: "DELETE", headers });
    },
    tell: () => writeFile(file, current.SecretID),
  };
}

const persistent = (): Promise<Consul> => startConsul({ persistent: true, hcl: large });

/** The agent's services. */
export const consulStore: FaultStore = {
  name: "consul",
  ttl: 2,
  open: (port) => services(port),
  async start(): Promise<FaultServer> {
    const server = await persistent();
    return {
      ...server,
      /** Everything here has a name, so nothing is unreadable but what has no port or a meta of ours that says nothing. */
      async litter(_place, service, size) {
        const filler = "x".repeat(size);
        const meta = { "portolan-node": "nobody", "portolan-owner": "nobody", "portolan-state": "gone" };
        await put(server, "agent/service/register", { ID: `${service}-a`, Name: service, Tags: [filler] });
        await put(server, "agent/service/register", {
          ...{ ID: `${service}-b`, Name: service, Meta: meta, Tags: [filler] },
        });
        return 2;
      },
    };
  },
  startGuarded: () =>
    startGuarded('service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }', services),
};

/** registrator's keys. Consul's sessions last 10 s at least, and up to twice that. */
export const consulkvStore: FaultStore = {
  name: "consulkv",
  ttl: 10,
  open: keys,
  async start(): Promise<FaultServer> {
    const server = await persistent();
    return {
      ...server,
      async litter(place, service, size) {
        const texts = garbage(size);
        for (const [id, text] of texts) await put(server, `kv/${place}/${service}/${id}`, text);
        return texts.length;
      },
    };
  },
  startGuarded: () =>
    startGuarded('key_prefix "guarded/" { policy = "read" }', (port, env, query) =>
      keys(port, "guarded", env, query),
    ),
};
