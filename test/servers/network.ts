// A switch of our own, in its own network namespace, with a cable to each test host and one to the root namespace.
// It is not in the root namespace, because a Docker there makes it drop what a bridge forwards.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec, execNow } from "./exec.ts";
import { atExit, owner, stateFolder } from "./run.ts";

/** A /24 that this process alone uses, and a prefix for the names of what belongs to it. */
export interface Subnet {
  /** Names of interfaces (at most 15 characters) and namespaces begin with this. */
  readonly prefix: string;
  /** Address number `n` of the subnet. */
  address(n: number): string;
  release(): void;
}

/** A namespace that is cabled to the switch: what a test calls a host. */
export interface HostNetwork {
  readonly netns: string;
  readonly address: string;
  /** Prefix of a command line that makes it run in this namespace. */
  readonly enter: readonly string[];
  /** Pulls the cable: packets are lost, nobody is told. */
  disconnect(): Promise<void>;
  connect(): Promise<void>;
  remove(): Promise<void>;
}

/** Where `ip netns` keeps its namespaces. */
const netnsDir = "/var/run/netns";

/** Private and benchmarking address space (RFC 1918, RFC 2544) that few networks use; 256 subnets of each. */
const bases = ["10.98", "198.18"] as const;

/**
 * Claims a /24 that no interface and no route of this machine overlaps. Nothing sent to it leaves the machine.
 * `undo` is one line kept with the claim, for the run that cleans up if this one cannot.
 * @throws an error when all are taken
 */
export function claimSubnet(undo = ""): Subnet {
  const used = usedRanges();
  const namespaces = namespaceNames();
  for (let index = 0; index < bases.length * 256; index++) {
    const network = `${bases[index >> 8]}.${index & 255}`;
    const first = addressNumber(`${network}.0`);
    if (used.some((range) => range.first <= first + 255 && first <= range.last)) continue;
    if (namespaces.some((name) => name.startsWith(`ptl${index}-`))) continue;
    if (!claim(index, undo)) continue;
    const farewell = atExit(() => removeNetwork(index));
    return {
      prefix: `ptl${index}`,
      address: (n) => `${network}.${n}`,
      release: () => {
        farewell();
        removeNetwork(index);
      },
    };
  }
  throw new Error(
    `network: no free subnet in ${bases.join(" and ")}; end old test runs or remove their namespaces`,
  );
}

function claim(index: number, undo: string): boolean {
  try {
    writeFileSync(join(stateFolder("networks"), String(index)), `${owner}\n${undo}`, { flag: "wx" });
    return true;
  } catch {
    return false;
  }
}

interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** What this machine's addresses and routes cover, the default route left out. */
function usedRanges(): readonly AddressRange[] {
  const text = [execNow("ip", ["-4", "-o", "address"]), execNow("ip", ["-4", "route"])].join("\n");
  return [...text.matchAll(/(?<ip>\d+\.\d+\.\d+\.\d+)(\/(?<bits>\d+))?/g)].map(({ groups }) => {
    const size = 2 ** (32 - Number(groups?.bits ?? 32));
    const first = Math.floor(addressNumber(groups?.ip ?? "") / size) * size;
    return { first, last: first + size - 1 };
  });
}

const addressNumber = (ip: string): number =>
  ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

/** Removes what belongs to subnet number `index`: namespaces, interfaces of the root namespace, the claim. */
export function removeNetwork(index: number): void {
  const prefix = `ptl${index}`;
  for (const name of namespaceNames()) {
    if (name.startsWith(`${prefix}-`)) execNow("ip", ["netns", "delete", name]);
  }
  for (const name of readdirSync("/sys/class/net")) {
    if (name === prefix || name.startsWith(`${prefix}-`)) execNow("ip", ["link", "delete", name]);
  }
  rmSync(join(stateFolder("networks"), String(index)), { force: true });
}

/** Adds host number `n` (1 to 250) to this process's switch, which is made with the first one. */
export async function addHost(): Promise<HostNetwork> {
  const { subnet, number, release } = await joinSwitch();
  const netns = `${subnet.prefix}-h${number}`;
  const port = `port${number}`;
  const address = subnet.address(number);
  const sw = `${subnet.prefix}-sw`;
  const cable = (state: "up" | "down"): Promise<string> => exec("ip", ["-n", sw, "link", "set", port, state]);
  await exec("ip", ["netns", "add", netns]);
  await ip(sw, `link add ${port} type veth peer name eth1 netns ${netns}`, `link set ${port} master br0 up`);
  await ip(netns, "link set lo up", `address add ${address}/24 dev eth1`, "link set eth1 up");
  return {
    netns,
    address,
    enter: ["nsenter", `--net=${join(netnsDir, netns)}`, "--"],
    disconnect: async () => void (await cable("down")),
    connect: async () => void (await cable("up")),
    remove: async () => {
      await exec("ip", ["netns", "delete", netns]);
      release();
    },
  };
}

interface Switch {
  readonly subnet: Subnet;
  hosts: number;
  last: number;
}

let current: Promise<Switch> | undefined;

/** A place on the switch; the switch goes when the last place is released. */
async function joinSwitch(): Promise<{ subnet: Subnet; number: number; release: () => void }> {
  current ??= makeSwitch();
  const mine = await current;
  mine.hosts += 1;
  mine.last += 1;
  return {
    subnet: mine.subnet,
    number: mine.last,
    release: () => {
      mine.hosts -= 1;
      if (mine.hosts > 0) return;
      current = undefined;
      mine.subnet.release();
    },
  };
}

async function makeSwitch(): Promise<Switch> {
  mkdirSync(netnsDir, { recursive: true });
  const subnet = claimSubnet();
  const sw = `${subnet.prefix}-sw`;
  await exec("ip", ["netns", "add", sw]);
  await ip(sw, "link set lo up", "link add br0 type bridge", "link set br0 up");
  await ip("", `link add ${subnet.prefix} type veth peer name root netns ${sw}`);
  await ip(sw, "link set root master br0 up");
  await ip("", `address add ${subnet.address(254)}/24 dev ${subnet.prefix}`, `link set ${subnet.prefix} up`);
  return { subnet, hosts: 0, last: 0 };
}

/** Runs lines of ip(8) in a namespace; "" is the root one. */
async function ip(netns: string, ...lines: readonly string[]): Promise<void> {
  await exec("ip", [...(netns === "" ? [] : ["-n", netns]), "-batch", "-"], {
    input: `${lines.join("\n")}\n`,
  });
}

function namespaceNames(): readonly string[] {
  try {
    return readdirSync(netnsDir);
  } catch {
    return [];
  }
}
