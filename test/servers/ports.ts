// Loopback ports for servers that are told their port, and get it back after a restart.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { atExit, owner, stateFolder } from "./run.ts";

/**
 * A port that nobody listens on and that no other test process is given, for as long as this process runs.
 *
 * It lies below the kernel's ephemeral range: a port from that range could be taken by any outgoing connection
 * before its server starts or while it restarts, even by the client that knocks at it (a TCP self-connect).
 * Two workers cannot get the same one: a claim is a file that only one process can create.
 */
export async function freePort(): Promise<number> {
  const first = 10_000;
  const count = ephemeralStart() - first;
  if (count < 1000)
    throw new Error("ports: net.ipv4.ip_local_port_range leaves too few ports below it; raise its start");
  for (let tries = 0; tries < 1000; tries++) {
    const port = first + Math.floor(Math.random() * count);
    if (!claim(port)) continue;
    if (await isFree(port)) return port;
    rmSync(claimFile(port), { force: true });
  }
  throw new Error(
    `ports: no free port found between ${first} and ${first + count}; end the servers of old runs`,
  );
}

/** Several free ports, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

const claimFile = (port: number): string => join(stateFolder("ports"), String(port));

/** Claims a port for this process; false when somebody has it. Claims of ended processes go in `cleanLeftovers`. */
function claim(port: number): boolean {
  try {
    writeFileSync(claimFile(port), owner, { flag: "wx" });
  } catch {
    return false;
  }
  atExit(() => rmSync(claimFile(port), { force: true }));
  return true;
}

function ephemeralStart(): number {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1").split(/\s+/)[0]);
  } catch {
    return 32_768;
  }
}

/** Whether a server could listen on the port on every address: a listener on any one of them is seen. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
