// A TCP proxy in front of a server, for faults that the server itself cannot be made to show.
import { connect as connectTo, createServer, type Socket } from "node:net";

/** A way to a server that a test can close. */
export interface Gate {
  readonly port: number;
  /** Ends every connection and refuses new ones. */
  cut(): void;
  /** Leaves connections open and lets nothing through, like a network that loses all packets. */
  hold(): void;
  /** Lets everything through again. */
  open(): void;
  close(): Promise<void>;
}

/** Opens a gate to a port of this machine. */
export async function openGate(to: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let state: "open" | "cut" | "held" = "open";
  const flow = () => {
    for (const socket of sockets)
      if (state === "held") socket.pause();
      else socket.resume();
  };
  const server = createServer((inner) => {
    if (state === "cut") return void inner.destroy();
    const outer = connectTo(to, "127.0.0.1");
    for (const [from, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (chunk) => other.write(chunk));
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        other.destroy();
      });
    }
    flow();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the gate has no port");

  const end = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut() {
      state = "cut";
      end();
    },
    hold() {
      state = "held";
      flow();
    },
    open() {
      state = "open";
      flow();
    },
    close() {
      end();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
