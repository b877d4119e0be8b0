import { request } from "node:http";
import type { Probe, ProbeTarget } from "./probe.ts";
import type { Finding } from "./standing.ts";

/**
 * Asks by `GET path`, as load balancers ask Patroni: 2xx is a master, 503 and 4xx a slave. Everything else,
 * redirections and failures among them, says nothing of the role. The user and password go as Basic.
 */
export function httpProbe(target: ProbeTarget, path: string): Probe {
  return {
    close() {},
    ask: (signal) =>
      new Promise((resolve, reject) => {
        const { user, password } = target.credentials();
        const asked = request({
          host: target.address,
          port: target.port,
          path,
          signal,
          agent: false,
          headers: { connection: "close" },
          ...(password !== undefined && { auth: `${user ?? ""}:${password}` }),
        });
        asked.on("error", reject);
        asked.on("response", (response) => {
          response.on("error", () => {});
          response.destroy();
          const finding = findingOf(response.statusCode ?? 0);
          if (finding) resolve(finding);
          else
            reject(new Error(`GET ${path} answers ${response.statusCode}, which says nothing of the role`));
        });
        asked.end();
      }),
  };
}

function findingOf(status: number): Finding | undefined {
  if (status >= 200 && status < 300) return { role: "master" };
  // 401 and 403 say that the asker is unwelcome, 429 that it asks too often.
  if (status === 503 || (status >= 400 && status < 500 && ![401, 403, 407, 429].includes(status))) {
    return { role: "slave" };
  }
  return undefined;
}
