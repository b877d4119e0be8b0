import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

/** A port for one client alone, so that its connections are told from those of all others. */
export interface Door {
  readonly port: number;
  /** Unix times in ms at which it connected, and nothing served behind the door. */
  failures(): readonly number[];
  forget(): void;
}

/** Carries what comes in to a port of this machine, for as long as this process lives. */
export async function openDoor(upstream: number): Promise<Door> {
  let failures: number[] = [];
  const server = createServer((client) => {
    const at = Date.now();
    let isServed = false;
    const onward = connect(upstream, "127.0.0.1", () => {
      isServed = true;
    });
    onward.once("error", () => {
      if (!isServed) failures.push(at);
    });
    client.once("error", () => {});
    onward.once("close", () => client.resetAndDestroy());
    client.once("close", () => onward.resetAndDestroy());
    client.pipe(onward).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    failures: () => failures,
    forget: () => {
      failures = [];
    },
  };
}
