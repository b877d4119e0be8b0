// Consul left Debian and Ubuntu after the releases named here; its package is taken from there.
import { join } from "node:path";
import { readable } from "./programs.ts";
import { fetchUnpacked, type Unpacked, unpackedHome } from "./unpacked.ts";

const consul: Unpacked = {
  name: "consul",
  suites: {
    debian: { suite: "bullseye", component: "main" },
    ubuntu: { suite: "jammy", component: "universe" },
  },
  packages: ["consul"],
  wayOut: "put a consul program on the PATH",
};

/** The path of the unpacked program; undefined when it was never fetched. */
export function cachedConsul(): string | undefined {
  return readable(join(unpackedHome(consul), "usr/bin/consul"));
}

/**
 * Downloads and unpacks Consul's package. Call it under a lock.
 * @throws an error that says what could not be had, and the way out
 */
export const fetchConsul = (): Promise<void> => fetchUnpacked(consul);
