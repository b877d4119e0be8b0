import { isLoopback } from "../registrator/address/address.ts";
import { hostAddress } from "../registrator/address/host-address.ts";
import { readHostNetwork } from "../registrator/address/host-network.ts";
import type { Engine } from "../registrator/docker/engine.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";

const about = "address";

/** Under which address published ports are registered, and what speaks against its being reached from elsewhere. */
export function lookAtAddress(
  rule: string | undefined,
  context: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly engine: Engine;
    readonly docker: string;
  },
): Finding {
  const means = "containers with published ports are not registered";
  try {
    const address = hostAddress(rule, context);
    if (typeof address !== "string") return troubleOf(about, "wrong", new Error(address.unknown), means);
    return judged(address);
  } catch (error) {
    return troubleOf(about, "wrong", error, means);
  }
}

function judged(address: string): Finding {
  const [name] = [...readHostNetwork().interfaces].find(([, all]) => all.includes(address)) ?? [];
  if (isLoopback(address)) {
    return {
      about,
      level: "warning",
      found: `published ports are registered with ${address}, a loopback address`,
      means: "only load balancers on this host reach them",
      wayOut: "give the host's own address with --ip, where there are others",
    };
  }
  if (name === undefined) {
    return {
      about,
      level: "warning",
      found: `published ports are registered with ${address}, which no interface here has`,
      means:
        "that is right behind a NAT and in a container of its own network, and wrong for an address of yesterday",
      wayOut: "correct --ip, or leave it as it is",
    };
  }
  const untried = `whether others reach it only they can try: nc -vz ${address} PORT`;
  return ok(about, `published ports are registered with ${address}, of ${name}; ${untried}`);
}
