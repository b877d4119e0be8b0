import { keptProbe } from "./kept.ts";
import type { Probe, ProbeTarget } from "./probe.ts";
import type { Finding } from "./standing.ts";

/** Asks Redis (or Valkey) with `ROLE`, which every user may call who has the right `+role`. */
export function redisProbe(target: ProbeTarget): Probe {
  return keptProbe({
    open: () => connectionTo(target),
    ask: async (client) => findingOf(await client.sendCommand(["ROLE"])),
    end: (client) => {
      if (client.isOpen) client.destroy();
    },
  });
}

async function connectionTo({ address, port, timeout, credentials }: ProbeTarget) {
  // Most hosts have none to ask.
  const { createClient } = await import("@redis/client");
  const { user, password } = credentials();
  const client = createClient({
    socket: { host: address, port, connectTimeout: timeout, reconnectStrategy: false },
    ...(password !== undefined && { password }),
    ...(user !== undefined && { username: user }),
    disableOfflineQueue: true,
  });
  // Each failure is also the answer of the question that meets it.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** `["master", offset, replicas]`, `["slave", host, port, link, offset]` or `["sentinel", names]`. */
function findingOf(reply: unknown): Finding {
  const role = Array.isArray(reply) ? String(reply[0]) : "";
  if (role === "master" || role === "slave") return { role };
  throw new Error(role === "sentinel" ? "it is a Sentinel, which has no role" : "ROLE has no known answer");
}
