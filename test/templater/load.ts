// Requests one after the other from several clients, on kept and on new connections.
import { Agent, request } from "node:http";

/** Load that runs until it is stopped. */
export interface Load {
  /** Ends it; resolves with what it has seen. */
  stop(): Promise<{ readonly answered: number; readonly failed: readonly string[] }>;
}

/** Starts `clients` clients; each sends its next request when the last one was answered. */
export function startLoad(url: string, clients: number): Load {
  const kept = new Agent({ keepAlive: true });
  let running = true;
  let answered = 0;
  const failed: string[] = [];

  const one = (agent: Agent | false) =>
    new Promise<void>((resolve) => {
      const sent = request(url, { agent }, (response) => {
        response.resume();
        response.once("end", () => {
          if (response.statusCode === 200) answered += 1;
          else failed.push(`status ${response.statusCode}`);
          resolve();
        });
        response.once("error", (error) => {
          failed.push(error.message);
          resolve();
        });
      });
      sent.once("error", (error) => {
        failed.push(error.message);
        resolve();
      });
      sent.end();
    });
  const work = Array.from({ length: clients }, async (_, index) => {
    while (running) await one(index % 2 === 0 ? kept : false);
  });

  return {
    async stop() {
      running = false;
      await Promise.all(work);
      kept.destroy();
      return { answered, failed };
    },
  };
}
