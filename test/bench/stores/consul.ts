import { EventEmitter } from "node:events";
import { Agent } from "node:http";
import Consul from "consul";
import { type BareStore, inTurns } from "./store.ts";

type Health = readonly { readonly Service: { readonly ID: string; readonly Port: number } }[];
type Answer = readonly [{ readonly headers: Readonly<Record<string, string>> }, Health];

/** What Consul takes in one transaction. */
const mostOperations = 64;

/** Consul: one registration at the agent, one blocking query for the service. */
export async function openConsul(url: string): Promise<BareStore> {
  const { hostname, port } = new URL(url);
  // Consul hangs up on a client with more than 200 connections.
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const client = new Consul({ host: hostname, port: Number(port), agent });
  let closed = false;
  const ask = async (service: string, index: string | undefined) => {
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    const question = { service, ctx, ...(index && { index, wait: "60s" }) };
    const [response, body] = (await client.health.service(question as never)) as unknown as Answer;
    return { index: response.headers["x-consul-index"], body };
  };
  return {
    async put({ service, id, address, port, host }) {
      const meta = host === undefined ? {} : { http_host: host };
      await client.agent.service.register({ id, name: service, address, port, meta });
    },
    async fill(records) {
      // As services of a node without an agent, in transactions: the agent takes each registration for itself.
      const node = { Node: "bench-filled", Address: "10.0.0.9" };
      await client.catalog.register({ node: node.Node, address: node.Address });
      for (let at = 0; at < records.length; at += mostOperations) {
        const operations = records.slice(at, at + mostOperations).map(({ service, id, address, port }) => ({
          Service: {
            Verb: "set",
            Node: node.Node,
            Service: { ID: id, Service: service, Address: address, Port: port },
          },
        }));
        const answer = await fetch(`http://${hostname}:${port}/v1/txn`, {
          method: "PUT",
          body: JSON.stringify(operations),
        });
        if (!answer.ok) throw new Error(`consul: ${answer.status} ${await answer.text()}`);
      }
    },
    async count() {
      let count = 0;
      const services = Object.keys(await client.catalog.service.list());
      await inTurns(services, 16, async (service) => {
        const { body } = await ask(service, undefined);
        if (service !== "consul") count += body.length;
      });
      return count;
    },
    async remove({ id }) {
      await client.agent.service.deregister(id);
    },
    async watch({ service, id }, seen) {
      let { index, body } = await ask(service, undefined);
      const portIn = (now: Health) => now.find(({ Service }) => Service.ID === id)?.Service.Port;
      seen(portIn(body));
      const follow = async () => {
        while (!closed) {
          ({ index, body } = await ask(service, index));
          seen(portIn(body));
        }
      };
      follow().catch((error: unknown) => {
        if (!closed) throw error;
      });
    },
    async close() {
      closed = true;
      client.destroy();
    },
  };
}
